<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\InvalidArgument;

/**
 * Opens sockets. It tries again until the connect timeout is over, because RoadRunner starts the pool
 * and the workers at the same time.
 *
 * @internal
 */
final class StreamConnector
{
    /** Microseconds between the first two attempts; doubled for each further one. */
    private const FIRST_DELAY = 5_000;
    private const MAX_DELAY = 250_000;
    /** Seconds after a failure in which one attempt has to do, lest every call waits in vain. */
    private const HOPELESS = 1.0;

    private float $failedAt = -INF;

    /**
     * @param string $address tcp://host:port or unix:///path
     * @param float $timeout seconds, for all attempts together
     */
    public function __construct(private readonly string $address, private readonly float $timeout)
    {
        if (preg_match('~^(tcp://.+:\d+|unix://.+)$~', $address) !== 1) {
            throw new InvalidArgument("the address \"{$address}\" is neither tcp://host:port nor unix://path", '22023');
        }
    }

    /**
     * @return resource
     * @throws ConnectionLost
     */
    public function connect()
    {
        $started = self::now();
        $deadline = $started - $this->failedAt < self::HOPELESS ? $started : $started + $this->timeout;
        $delay = self::FIRST_DELAY;
        while (true) {
            $stream = $this->attempt(max(0.05, $deadline - self::now()), $reason);
            if ($stream !== false) {
                return $this->configure($stream);
            }
            if (self::now() + $delay / 1e6 > $deadline) {
                $this->failedAt = self::now();
                throw new ConnectionLost("could not connect to rr-pgpool at {$this->address}: {$reason}", '08001');
            }
            usleep($delay);
            $delay = min(2 * $delay, self::MAX_DELAY);
        }
    }

    /**
     * @param float $timeout seconds
     * @return resource|false
     */
    private function attempt(float $timeout, ?string &$reason)
    {
        $context = stream_context_create(['socket' => ['tcp_nodelay' => true]]);

        return @stream_socket_client($this->address, $code, $reason, $timeout, STREAM_CLIENT_CONNECT, $context);
    }

    /**
     * @param resource $stream
     * @return resource
     */
    private function configure($stream)
    {
        // A reply is read with one call; PHP's own buffer would only copy it.
        stream_set_read_buffer($stream, 0);
        if (str_starts_with($this->address, 'tcp://') && function_exists('socket_import_stream')) {
            $socket = @socket_import_stream($stream);
            if ($socket) {
                @socket_set_option($socket, SOL_SOCKET, SO_KEEPALIVE, 1);
            }
        }

        return $stream;
    }

    private static function now(): float
    {
        return hrtime(true) / 1e9;
    }
}
