package main
import ("fmt"; "metalworks/lab/k3s/shim")
var version="x"
func main(){ fmt.Println(version, shim.Extract("/tmp/ha-x")) }
