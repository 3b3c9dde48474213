<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\Exception\OutcomeUnknown;

use function crc32;
use function pack;
use function strlen;

/**
 * goridge's frame, version 1 with two options (sequence id and method length), all little-endian:
 *
 *     0        1      2-5     6-9                 10, 11  12-15  16-19          20
 *     version  flags  length  CRC-32 of 0 to 5    0       seq    method length  method, body
 *
 * @internal
 */
final class Frame
{
    public const HEADER = 20;
    public const JSON = 0x08;
    public const ERROR = 0x40;
    /** The sequence id is an unsigned 32-bit number. */
    public const MAX_SEQ = 0xFFFFFFFF;

    /** Version 1, and a header of five 32-bit words. */
    private const FIRST_BYTE = 0x15;

    private function __construct(
        public readonly int $flags,
        /** Bytes of method and body. */
        public readonly int $length,
        public readonly int $seq,
        public readonly int $methodLength,
    ) {
    }

    /** The bytes of a request. */
    public static function request(string $method, string $body, int $seq): string
    {
        $content = $method . $body;

        return self::header(strlen($content), $seq, strlen($method)) . $content;
    }

    /**
     * The header of a JSON frame.
     *
     * @param int $length bytes of method and body
     */
    public static function header(int $length, int $seq, int $methodLength): string
    {
        $start = pack('CCV', self::FIRST_BYTE, self::JSON, $length);

        return $start . pack('VvVV', crc32($start), 0, $seq, $methodLength);
    }

    /**
     * Reads the header at the start of $bytes.
     *
     * @param string $bytes at least self::HEADER of them
     * @throws OutcomeUnknown when they are no frame
     */
    public static function parse(string $bytes): self
    {
        $header = unpack('Cfirst/Cflags/Vlength/Vcrc/vstream/Vseq/Vmethod', $bytes);
        if ($header === false || $header['first'] !== self::FIRST_BYTE) {
            throw self::unreadable('the reply is not a goridge frame');
        }
        if ($header['crc'] !== crc32(substr($bytes, 0, 6))) {
            throw self::unreadable('the reply has a wrong checksum');
        }
        if ($header['method'] > $header['length']) {
            throw self::unreadable('the reply has impossible lengths');
        }

        return new self($header['flags'], $header['length'], $header['seq'], $header['method']);
    }

    /** A reply that cannot be read says nothing about what was executed. */
    public static function unreadable(string $reason): OutcomeUnknown
    {
        return new OutcomeUnknown("{$reason}; whether the request was executed is unknown", '40003');
    }
}
