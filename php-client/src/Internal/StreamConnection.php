<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\PgpoolException;
use RrPgpool\Exception\ProtocolException;

use function fread;
use function fwrite;
use function hrtime;
use function is_resource;
use function strlen;
use function strncmp;
use function substr;

/**
 * One socket, and one exchange on it at a time. What went wrong once stays wrong: whoever gets an
 * exception of any kind out of exchange() must close it, since the next bytes may be a late reply.
 *
 * @internal
 */
final class StreamConnection
{
    /** One read takes this much; most replies fit. */
    private const READ_SIZE = 16384;
    /** Replies larger than that are read in parts of this size. */
    private const PART_SIZE = 1 << 20;
    /** A request that may be too large for a server that has other limits than the default ones. */
    private const LARGE = 1 << 20;
    /** Milliseconds of poll(2) are an int: this many seconds stand for "no limit". */
    private const NO_LIMIT = 2_000_000.0;

    /** Nanoseconds since the last reply in which nobody can have restarted the server. */
    private const FRESH = 1_000_000;

    /** Set from before the first byte of a request until the reply is complete. */
    public bool $busy = false;

    private float $timeout = -1.0;
    private int $usedAt = 0;

    /**
     * @param resource $stream
     * @param int $maxReply bytes a reply may have
     */
    public function __construct(
        private $stream,
        public readonly int $generation,
        private readonly int $maxReply,
    ) {
    }

    /**
     * Whether a request may be written. A readable socket is one that the server has closed, or that
     * holds what nobody asked for. It is not looked at right after a reply, which had shown it well.
     */
    public function isUsable(): bool
    {
        if (!is_resource($this->stream)) {
            return false;
        }
        if (hrtime(true) - $this->usedAt < self::FRESH) {
            return true;
        }
        $read = [$this->stream];
        $none = null;
        $readable = @stream_select($read, $none, $none, 0);

        return $readable === false ? $this->isQuiet() : $readable === 0;
    }

    /** The same for a descriptor beyond 1023, which select(2) does not take. */
    private function isQuiet(): bool
    {
        stream_set_blocking($this->stream, false);
        $byte = @stream_socket_recvfrom($this->stream, 1, STREAM_PEEK);
        stream_set_blocking($this->stream, true);

        return $byte === false;
    }

    /**
     * Sends a request and reads the reply.
     *
     * @param float $timeout seconds without a byte, INF for no limit
     * @return string|ProtocolException the body, or the error that the server answers with
     * @throws PgpoolException
     */
    public function exchange(string $method, string $body, int $seq, float $timeout): string|ProtocolException
    {
        if ($timeout !== $this->timeout) {
            $this->setTimeout($timeout);
        }
        $request = Frame::request($method, $body, $seq);
        if (@fwrite($this->stream, $request) !== strlen($request)) {
            // The server executes nothing before it has the whole frame.
            $size = strlen($request) < self::LARGE ? '' : sprintf(
                '; it has %d MiB, is that more than rpc.max_frame_size of the server?',
                strlen($request) >> 20,
            );
            throw new ConnectionLost("the connection to the pool was lost while the request was sent{$size}", '08006');
        }
        $bytes = $this->read(self::READ_SIZE, $timeout);
        $methodLength = strlen($method);
        // Mostly this is the whole reply, and its header then is known beforehand.
        $header = Frame::header(strlen($bytes) - Frame::HEADER, $seq, $methodLength);
        $content = strncmp($bytes, $header, Frame::HEADER) === 0
            ? substr($bytes, Frame::HEADER + $methodLength)
            : $this->complete($bytes, $seq, $timeout);
        $this->usedAt = hrtime(true);

        return $content;
    }

    /**
     * Closes this process's descriptor, and nothing more: a shutdown would end the connection for a
     * parent or child process as well.
     */
    public function close(): void
    {
        if (is_resource($this->stream)) {
            fclose($this->stream);
        }
    }

    /**
     * Reads the rest of the reply, and checks what it is.
     *
     * @param string $bytes its beginning
     */
    private function complete(string $bytes, int $seq, float $timeout): string|ProtocolException
    {
        while (strlen($bytes) < Frame::HEADER) {
            $bytes .= $this->read(self::READ_SIZE, $timeout);
        }
        $frame = Frame::parse($bytes);
        if ($frame->length > $this->maxReply) {
            throw Frame::unreadable("the reply has {$frame->length} bytes, more than are accepted");
        }
        $missing = Frame::HEADER + $frame->length - strlen($bytes);
        while ($missing > 0) {
            $part = $this->read(min($missing, self::PART_SIZE), $timeout);
            $missing -= strlen($part);
            $bytes .= $part;
        }
        if ($missing < 0) {
            throw Frame::unreadable('there are bytes after the reply');
        }
        if ($frame->seq !== $seq) {
            throw Frame::unreadable("the reply belongs to request {$frame->seq}, not to {$seq}");
        }
        $body = substr($bytes, Frame::HEADER + $frame->methodLength);
        if (($frame->flags & Frame::ERROR) !== 0) {
            return new ProtocolException($body, '08P01');
        }

        return $frame->flags === Frame::JSON ? $body : throw Frame::unreadable('the reply is not JSON');
    }

    private function setTimeout(float $timeout): void
    {
        $seconds = min($timeout, self::NO_LIMIT);
        stream_set_timeout($this->stream, (int) $seconds, (int) (fmod($seconds, 1.0) * 1e6));
        $this->timeout = $timeout;
    }

    /** @throws OutcomeUnknown when there is nothing to read any more, or not in time */
    private function read(int $length, float $timeout): string
    {
        $part = fread($this->stream, $length);
        if ($part !== false && $part !== '') {
            return $part;
        }
        $reason = stream_get_meta_data($this->stream)['timed_out']
            ? sprintf('no reply within %.3G seconds', $timeout)
            : 'the server left without a reply'
                // It may be another one, such as the PostgreSQL door, to which this makes no sense.
                . ($this->usedAt === 0 ? ', and never gave one: is that address rpc.listen of rr-pgpool?' : '');
        throw new OutcomeUnknown("{$reason}; whether the request was executed is unknown", '40003');
    }
}
