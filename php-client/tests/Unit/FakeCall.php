<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit;

/**
 * A request as the fake server has read it, and frames that answer it. It shares no code with the
 * client, so that a misunderstanding cannot cancel itself out.
 */
final class FakeCall
{
    /**
     * @param int $connection number of the connection it came through, from 1
     * @param int $number of the request, over all connections, from 1
     * @param array<string, mixed> $fields
     */
    private function __construct(
        public readonly int $connection,
        public readonly int $number,
        public readonly int $seq,
        public readonly string $method,
        public readonly array $fields,
    ) {
    }

    /**
     * @param resource $stream
     * @return self|null null at the end
     */
    public static function read($stream, int $connection, int $number): ?self
    {
        $header = self::bytes($stream, 20);
        if ($header === null) {
            return null;
        }
        $parts = unpack('Vlength/x4/x2/Vseq/Vmethod', $header, 2);
        $rest = self::bytes($stream, $parts['length']);
        if ($rest === null) {
            return null;
        }

        return new self(
            $connection,
            $number,
            $parts['seq'],
            substr($rest, 0, $parts['method']),
            json_decode(substr($rest, $parts['method']), true),
        );
    }

    /**
     * The frame of a proper reply, which also says what the server saw of the request.
     *
     * @param array<string, mixed> $reply
     */
    public function answer(array $reply = []): string
    {
        return $this->frame(json_encode($reply + [
            'request_id' => $this->fields['request_id'],
            'connection' => $this->connection,
            'number' => $this->number,
            'method' => $this->method,
            'fields' => $this->fields,
        ], JSON_PRESERVE_ZERO_FRACTION));
    }

    /** A frame with right checksum and lengths. */
    public function frame(string $body, int $flags = 0x08, ?int $seq = null): string
    {
        $method = $this->method;
        $start = chr(0x15) . chr($flags) . pack('V', strlen($method . $body));

        return $start
            . pack('V', crc32($start))
            . "\0\0"
            . pack('VV', $seq ?? $this->seq, strlen($method))
            . $method
            . $body;
    }

    /** @param resource $stream */
    private static function bytes($stream, int $length): ?string
    {
        $bytes = '';
        while (strlen($bytes) < $length) {
            $part = fread($stream, $length - strlen($bytes));
            if ($part === false || $part === '') {
                return null;
            }
            $bytes .= $part;
        }

        return $bytes;
    }
}
