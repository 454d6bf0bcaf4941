// Go's net/http under the packaged cloudflare/tableflip.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cloudflare/tableflip"
)

func main() {
	upgrader, err := tableflip.New(tableflip.Options{})
	if err != nil {
		panic(err)
	}
	listener, err := upgrader.Listen("tcp", "127.0.0.1:8000")
	if err != nil {
		panic(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if millis := strings.TrimPrefix(request.URL.Path, "/sleep/"); millis != request.URL.Path {
			number, _ := strconv.Atoi(millis)
			time.Sleep(time.Duration(number) * time.Millisecond)
		}
		fmt.Fprintf(answer, "Hello, world %s %d!\n", os.Getenv("ENDLESS_GENERATION"), os.Getpid())
	})}
	go server.Serve(listener)
	if err := upgrader.Ready(); err != nil {
		panic(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	select {
	case <-stop:
	case <-upgrader.Exit():
	}
	server.Shutdown(context.Background())
}
