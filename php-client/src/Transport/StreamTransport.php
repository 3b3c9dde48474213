<?php

declare(strict_types=1);

namespace RrPgpool\Transport;

use JsonException;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Exception\ProtocolException;
use RrPgpool\Internal\Frame;
use RrPgpool\Internal\StreamConnection;
use RrPgpool\Internal\StreamConnector;
use RrPgpool\Transport;

use function getmypid;
use function is_array;
use function json_decode;
use function json_encode;

/**
 * The built-in transport: JSON over one socket per process, with PHP streams.
 *
 * - A socket on which anything went wrong is closed and never used again, also when the exception
 *   came from elsewhere, such as a signal handler. The next call connects anew.
 * - Only connecting is tried again. No request is sent twice.
 * - After a fork, the child connects for itself and leaves the parent's socket alone.
 * - A call made while another is in flight, by a signal handler or a destructor, has a second socket.
 */
final class StreamTransport implements Transport
{
    public const DEFAULT_ADDRESS = 'tcp://127.0.0.1:6002';
    public const ADDRESS_VARIABLE = 'PGPOOL_RPC';

    private const ENCODE = JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION | JSON_UNESCAPED_SLASHES
        | JSON_UNESCAPED_UNICODE;
    private const DECODE = JSON_BIGINT_AS_STRING;
    /** More than any sensible document in a row has. */
    private const DEPTH = 1024;
    /** What is left of it for a document: a reply has `rows` or `results`, lists of rows, and rows. */
    private const DOCUMENT = 1000;

    private readonly StreamConnector $connector;
    /** @var list<StreamConnection> the first, and one for each level of re-entry there ever was */
    private array $connections = [];
    private int $generation = 1;
    private int $pid;
    private int $seq = 0;
    private readonly string $idPrefix;

    /**
     * @param string|null $address tcp://host:port or unix:///path; else that of the environment
     *     variable PGPOOL_RPC, else self::DEFAULT_ADDRESS
     * @param float $connectTimeout seconds, all attempts to connect together
     * @param int $maxReply bytes that a reply may have
     * @param string $service name of the RPC service
     * @throws InvalidArgument when the address is none
     */
    public function __construct(
        ?string $address = null,
        float $connectTimeout = 5.0,
        private readonly int $maxReply = 256 << 20,
        private readonly string $service = 'pgpool',
    ) {
        $address ??= getenv(self::ADDRESS_VARIABLE) ?: self::DEFAULT_ADDRESS;
        $this->connector = new StreamConnector($address, $connectTimeout);
        $this->pid = (int) getmypid();
        $this->idPrefix = bin2hex(random_bytes(3)) . '-';
    }

    public function call(string $method, array $request, float $timeout): array
    {
        $seq = $this->seq = $this->seq < Frame::MAX_SEQ ? $this->seq + 1 : 1;
        $id = $request['request_id'] = $this->idPrefix . $seq;
        $body = $this->encode($request);
        $connection = $this->reserve();
        $complete = false;
        try {
            $answer = $connection->exchange("{$this->service}.{$method}", $body, $seq, $timeout);
            $reply = $answer instanceof ProtocolException ? $answer : $this->decode($answer, $id);
            $complete = true;
        } finally {
            $connection->busy = false;
            if (!$complete || $connection->generation !== $this->generation) {
                $this->giveUp($connection);
            }
        }

        return $reply instanceof PgpoolException ? throw $reply : $reply;
    }

    public function generation(): int
    {
        if (getmypid() !== $this->pid) {
            $this->forgetParent();
        }

        return $this->generation;
    }

    public function close(): void
    {
        if (getmypid() !== $this->pid) {
            $this->forgetParent();
        } elseif ($this->connections !== []) {
            $this->abandon();
        }
    }

    /** @param array<string, mixed> $request */
    private function encode(array $request): string
    {
        try {
            return json_encode($request, self::ENCODE, self::DEPTH);
        } catch (JsonException $error) {
            throw new InvalidArgument("the request cannot be written as JSON: {$error->getMessage()}", '22021');
        }
    }

    /**
     * @return array<string, mixed>|PgpoolException the reply; or what there is to say of one that is as it
     *     should be and yet cannot be read
     * @throws OutcomeUnknown when it is none, or that of another request
     */
    private function decode(string $body, string $id): array|PgpoolException
    {
        $reply = json_decode($body, true, self::DEPTH, self::DECODE);
        if ($reply === null) {
            if (json_last_error() === JSON_ERROR_DEPTH) {
                return new PgpoolException('the result has a document that is nested deeper than '
                    . self::DOCUMENT . ' levels; the statement itself was executed. Read it as text: ::text', '54000');
            }
            throw Frame::unreadable('the reply is not JSON: ' . json_last_error_msg());
        }
        if (!is_array($reply) || ($reply['request_id'] ?? null) !== $id) {
            throw Frame::unreadable('the reply has another request_id');
        }
        unset($reply['request_id']);

        return $reply;
    }

    /** A connection that nobody uses, marked as used. */
    private function reserve(): StreamConnection
    {
        if (getmypid() !== $this->pid) {
            $this->forgetParent();
        }
        foreach ($this->connections as $connection) {
            if ($connection->busy) {
                continue;
            }
            $connection->busy = true;
            if ($connection->isUsable()) {
                return $connection;
            }
            // The server has closed it while nothing was in flight: nothing is in doubt.
            $connection->busy = false;
            $this->abandon();
            break;
        }
        $generation = $this->generation;
        $connection = new StreamConnection($this->connector->connect(), $generation, $this->maxReply);
        $connection->busy = true;
        if ($generation === $this->generation) {
            $this->connections[] = $connection;
        }

        return $connection;
    }

    /** After a failure, or the end of the connection's generation while it was in use. */
    private function giveUp(StreamConnection $connection): void
    {
        $connection->close();
        if ($connection->generation === $this->generation) {
            $this->abandon();
        }
    }

    /**
     * Starts a new generation without any connection. All of them go, because the owner of a
     * transaction cannot be told which of them it was opened through; one that is in flight is closed
     * when its reply is there.
     */
    private function abandon(): void
    {
        $connections = $this->connections;
        $this->connections = [];
        ++$this->generation;
        foreach ($connections as $connection) {
            if (!$connection->busy) {
                $connection->close();
            }
        }
    }

    /** The sockets are the parent's: this process drops its descriptors, and the parent's stay open. */
    private function forgetParent(): void
    {
        $this->pid = (int) getmypid();
        $this->connections = [];
        ++$this->generation;
    }
}
