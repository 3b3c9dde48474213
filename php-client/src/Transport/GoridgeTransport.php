<?php

declare(strict_types=1);

namespace RrPgpool\Transport;

use Closure;
use Google\Protobuf\Internal\Message;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Internal\Goridge\JsonPayloads;
use RrPgpool\Internal\Goridge\MsgpackPayloads;
use RrPgpool\Internal\Goridge\ProtobufPayloads;
use RrPgpool\Internal\GoridgeConnection;
use RrPgpool\Transport;

/**
 * A transport over goridge's own client (spiral/goridge ^4.0, roadrunner/goridge), for applications
 * that have one already. StreamTransport needs nothing and has none of these traps:
 *
 * - goridge has no read timeout: a call waits as long as the server lets it, whatever is asked here.
 *   Set behavior.query_timeout at the server.
 * - Its sequence number is one static counter of the process, and it stays where it was when an
 *   exception comes out of a call. Such an RPC object would take the late answer to one request for
 *   the answer to the next. This class drops it, and checks a request_id of its own.
 * - For the same reason a call made while another is in flight, by a signal handler or a destructor,
 *   makes the outer one fail. It is reported as OutcomeUnknown.
 * - MultiRPC's relays are static: the address given second is ignored, a new object has the old
 *   sockets, and a child process uses its parent's. Give the factory an RPC, or do not fork.
 * - An RPC object of the application itself must not be returned by the factory more than once.
 */
final class GoridgeTransport implements Transport
{
    /** @var Closure(): object */
    private readonly Closure $connect;
    private ?GoridgeConnection $connection = null;
    private int $generation = 1;
    private int $pid;

    /**
     * @param callable(): \Spiral\Goridge\RPC\RPCInterface $connect makes an RPC object with a
     *     connection of its own; called at the first use and again after each failure
     * @param GoridgeCodec $codec the one that its objects have
     * @param string $service name of the RPC service
     * @throws InvalidArgument when protobuf is asked for and not installed
     */
    public function __construct(
        callable $connect,
        private readonly GoridgeCodec $codec = GoridgeCodec::Json,
        private readonly string $service = 'pgpool',
    ) {
        if ($codec === GoridgeCodec::Protobuf && !class_exists(Message::class)) {
            throw new InvalidArgument('protobuf needs the package google/protobuf, or ext-protobuf', '22023');
        }
        $this->connect = $connect(...);
        $this->pid = (int) getmypid();
    }

    public function call(string $method, array $request, float $timeout): array
    {
        $this->noticeFork();
        // Taken away while it is in use: a call from within has another one.
        $connection = $this->connection ?? $this->open();
        $this->connection = null;
        $generation = $this->generation;
        $complete = false;
        try {
            $reply = $connection->call($method, $request);
            $complete = true;
        } finally {
            if (!$complete) {
                $this->close();
            } elseif ($generation === $this->generation) {
                $this->connection = $connection;
            }
        }
        if ($reply instanceof PgpoolException) {
            throw $reply;
        }

        return $reply;
    }

    public function generation(): int
    {
        $this->noticeFork();

        return $this->generation;
    }

    public function close(): void
    {
        $this->connection = null;
        ++$this->generation;
    }

    private function open(): GoridgeConnection
    {
        return new GoridgeConnection($this->connect, $this->service, match ($this->codec) {
            GoridgeCodec::Json => new JsonPayloads(),
            GoridgeCodec::Msgpack => new MsgpackPayloads(),
            GoridgeCodec::Protobuf => new ProtobufPayloads(),
        });
    }

    private function noticeFork(): void
    {
        if (getmypid() !== $this->pid) {
            $this->pid = (int) getmypid();
            $this->close();
        }
    }
}
