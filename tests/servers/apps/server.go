// Go's net/http on the inherited socket, with the packaged coreos/go-systemd.
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

	"github.com/coreos/go-systemd/activation"
	"github.com/coreos/go-systemd/daemon"
)

func greet(answer http.ResponseWriter, request *http.Request) {
	if millis := strings.TrimPrefix(request.URL.Path, "/sleep/"); millis != request.URL.Path {
		number, _ := strconv.Atoi(millis)
		time.Sleep(time.Duration(number) * time.Millisecond)
	}
	fmt.Fprintf(answer, "Hello, world %s %d!\n", os.Getenv("ENDLESS_GENERATION"), os.Getpid())
}

func main() {
	listeners, err := activation.Listeners()
	if err != nil || len(listeners) == 0 {
		fmt.Fprintln(os.Stderr, "no inherited socket:", err)
		os.Exit(1)
	}
	server := &http.Server{Handler: http.HandlerFunc(greet)}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		<-stop
		server.Shutdown(context.Background())
		close(done)
	}()
	daemon.SdNotify(false, daemon.SdNotifyReady)
	server.Serve(listeners[0])
	<-done
}
