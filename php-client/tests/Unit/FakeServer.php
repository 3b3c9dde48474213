<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit;

use Closure;
use RuntimeException;

/**
 * A server in a forked process, on a Unix socket, for one test. The handler is called for each request
 * and does what it likes with the stream; it runs in the child, so the only way to tell the test
 * something is a reply.
 */
final class FakeServer
{
    public readonly string $address;
    private readonly string $path;
    private int $pid = 0;

    /** @param Closure(resource, FakeCall): void $handler */
    public function __construct(private readonly Closure $handler)
    {
        $this->path = sys_get_temp_dir() . '/pgpool-fake-' . bin2hex(random_bytes(6)) . '.sock';
        $this->address = "unix://{$this->path}";
    }

    /** @param float $delay seconds before it listens */
    public function start(float $delay = 0.0): self
    {
        $listener = $delay > 0 ? null : $this->listen();
        $this->pid = pcntl_fork();
        if ($this->pid === 0) {
            usleep((int) ($delay * 1e6));
            try {
                $this->serve($listener ?? $this->listen());
            } finally {
                // Without the shutdown functions, which belong to the parent.
                posix_kill(posix_getpid(), SIGKILL);
            }
        }
        if ($listener !== null) {
            fclose($listener);
        }

        return $this;
    }

    public function stop(): void
    {
        if ($this->pid > 0) {
            posix_kill($this->pid, SIGKILL);
            pcntl_waitpid($this->pid, $status);
            $this->pid = 0;
        }
        @unlink($this->path);
    }

    /** @return resource */
    private function listen()
    {
        return stream_socket_server($this->address, $code, $message) ?: throw new RuntimeException($message);
    }

    /** @param resource $listener */
    private function serve($listener): never
    {
        $streams = [0 => $listener];
        $accepted = 0;
        $calls = 0;
        while (true) {
            $streams = array_filter($streams, is_resource(...));
            $readable = $streams;
            $none = null;
            stream_select($readable, $none, $none, null);
            foreach ($readable as $number => $stream) {
                if ($stream === $listener) {
                    $streams[++$accepted] = stream_socket_accept($listener);
                } elseif (($call = FakeCall::read($stream, $number, $calls + 1)) === null) {
                    unset($streams[$number]);
                } else {
                    ++$calls;
                    ($this->handler)($stream, $call);
                }
            }
        }
    }
}
