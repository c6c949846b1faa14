module metalworks/lab/go/pause

go 1.24
