// Go's net/http under the packaged facebookgo/grace.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/facebookgo/grace/gracehttp"
)

func main() {
	gracehttp.Serve(&http.Server{Addr: "127.0.0.1:8000", Handler: http.HandlerFunc(
		func(answer http.ResponseWriter, request *http.Request) {
			if millis := strings.TrimPrefix(request.URL.Path, "/sleep/"); millis != request.URL.Path {
				number, _ := strconv.Atoi(millis)
				time.Sleep(time.Duration(number) * time.Millisecond)
			}
			fmt.Fprintf(answer, "Hello, world %s %d!\n", os.Getenv("ENDLESS_GENERATION"), os.Getpid())
		})})
}
