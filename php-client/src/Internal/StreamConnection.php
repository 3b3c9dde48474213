<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\Exception\ConnectionLost;
use RrPgpool\Exception\OutcomeUnknown;
use RrPgpool\Exception\PgpoolException;

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
    /** Milliseconds of poll(2) are an int: this many seconds stand for "no limit". */
    private const NO_LIMIT = 2_000_000.0;

    /** Set from before the first byte of a request until the reply is complete. */
    public bool $busy = false;

    private float $timeout = -1.0;

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
     * holds what nobody asked for.
     */
    public function isUsable(): bool
    {
        if (!is_resource($this->stream)) {
            return false;
        }
        $read = [$this->stream];
        $none = null;

        return @stream_select($read, $none, $none, 0) === 0;
    }

    /**
     * Writes a frame and reads the reply.
     *
     * @param float $timeout seconds without a byte, INF for no limit
     * @return array{Frame, string} the reply's header and its body
     * @throws PgpoolException
     */
    public function exchange(string $request, float $timeout): array
    {
        $this->setTimeout($timeout);
        $written = @fwrite($this->stream, $request);
        if ($written !== strlen($request)) {
            // The server executes nothing before it has the whole frame.
            throw new ConnectionLost('the connection to the pool was lost while the request was sent', '08006');
        }
        $bytes = $this->read(self::READ_SIZE, $timeout);
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

        return [$frame, substr($bytes, Frame::HEADER + $frame->methodLength)];
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

    private function setTimeout(float $timeout): void
    {
        if ($timeout === $this->timeout) {
            return;
        }
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
            : 'the server went away without a reply';
        throw new OutcomeUnknown("{$reason}; whether the request was executed is unknown", '40003');
    }
}
