// Compresses a file to standard output as the tools that write most container
// layers do: with Go's compress/gzip at its default level.
package main

import (
	"compress/gzip"
	"io"
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: gzip-writer FILE")
	}
	if err := compress(os.Args[1], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func compress(path string, to io.Writer) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	writer := gzip.NewWriter(to)
	if _, err := io.Copy(writer, file); err != nil {
		return err
	}
	return writer.Close()
}
