// Package nft hands rules to nftables.
package nft

import (
	"fmt"
	"os/exec"
	"strings"
)

// Apply applies rules: all of them, or none.
func Apply(rules string) error {
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader(rules)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, output)
	}
	return nil
}

// Replace is the beginning of rules that replace a table, whether it is there or not.
func Replace(table string) string {
	return fmt.Sprintf("add table ip %s\ndelete table ip %s\n", table, table)
}
