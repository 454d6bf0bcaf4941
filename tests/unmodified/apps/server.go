// Go's net/http at an address of its own, built without the C library: nothing but system calls. SIGTERM kills it.
package main

import (
	"fmt"
	"net/http"
	"os"
)

func greet(answer http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(answer, "Hello, world %s %d!\n", os.Getenv("ENDLESS_GENERATION"), os.Getpid())
}

func main() {
	panic(http.ListenAndServe(os.Args[1], http.HandlerFunc(greet)))
}
