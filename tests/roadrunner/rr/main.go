// A RoadRunner made of its own plugins: config, logger, rpc, service, server, http and status, run by
// its own container, as a custom build has them. What is missing is RoadRunner's command line: the
// few flags that the tests need, and its way of starting and stopping, are here.
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/roadrunner-server/config/v5"
	"github.com/roadrunner-server/endure/v2"
	rrhttp "github.com/roadrunner-server/http/v5"
	"github.com/roadrunner-server/logger/v5"
	"github.com/roadrunner-server/rpc/v5"
	"github.com/roadrunner-server/server/v5"
	"github.com/roadrunner-server/service/v5"
	"github.com/roadrunner-server/status/v5"
)

// version is what the plugins are told; the configuration's own version must fit it.
const version = "2025.1.0"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "rr:", err)
		os.Exit(1)
	}
}

func run() error {
	path := flag.String("c", ".rr.yaml", "configuration file")
	var overrides list
	flag.Var(&overrides, "o", "key.path=value, may be repeated")
	// As RoadRunner's own command line has it: rr serve -c file.
	arguments := os.Args[1:]
	if len(arguments) > 0 && arguments[0] == "serve" {
		arguments = arguments[1:]
	}
	if err := flag.CommandLine.Parse(arguments); err != nil {
		return err
	}

	file, err := filepath.Abs(*path)
	if err != nil {
		return err
	}
	// As RoadRunner does without -w.
	if err := os.Chdir(filepath.Dir(file)); err != nil {
		return err
	}
	const grace = 30 * time.Second
	container := endure.New(slog.LevelError, endure.GracefulShutdownTimeout(grace))
	err = container.RegisterAll(
		&config.Plugin{Path: file, Prefix: "rr", Version: version, Flags: overrides, Timeout: grace},
		&logger.Plugin{}, &rpc.Plugin{}, &service.Plugin{}, &server.Plugin{}, &rrhttp.Plugin{},
		&status.Plugin{},
	)
	if err != nil {
		return err
	}
	if err := container.Init(); err != nil {
		return err
	}
	failures, err := container.Serve()
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	fmt.Fprintln(os.Stderr, "rr: started")
	select {
	case failure := <-failures:
		_ = container.Stop()
		return fmt.Errorf("plugin %s: %w", failure.VertexID, failure.Error)
	case <-signals:
		return container.Stop()
	}
}

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }
