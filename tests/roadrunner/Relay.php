<?php

declare(strict_types=1);

namespace RrPgpool\Tests\RoadRunner;

/**
 * A worker's end of RoadRunner's relay: goridge frames on the standard streams, HTTP requests and
 * responses in them as protobuf. Only what the tests' worker needs.
 */
final class Relay
{
    private const CONTROL = 0x01;
    private const JSON = 0x08;
    private const PROTO = 0x80;

    /**
     * Answers RoadRunner's own questions, and waits for the next request.
     *
     * @return string|null the URI that is asked for; null when the worker is to end
     */
    public function next(): ?string
    {
        while (($frame = $this->receive()) !== null) {
            [$flags, $context, $body] = $frame;
            if (($flags & self::CONTROL) === 0) {
                return self::field($context, 4);
            }
            $command = json_decode($context . $body, true);
            if (isset($command['stop'])) {
                return null;
            }
            $this->send(self::CONTROL | self::JSON, '', (string) json_encode(['pid' => getmypid()]));
        }
        return null;
    }

    /** Answers the request. */
    public function respond(int $status, string $body): void
    {
        // A Response whose field 1 is the status, and which has no headers.
        $this->send(self::PROTO, "\x08" . chr(($status & 0x7f) | 0x80) . chr($status >> 7), $body);
    }

    /** @return array{int, string, string}|null flags, context and body; the context is what an option says */
    private function receive(): ?array
    {
        $header = self::read(12);
        if ($header === '') {
            return null;
        }
        $options = (ord($header[0]) & 0x0f) - 3;
        $lengths = $options > 0 ? array_values((array) unpack('V*', self::read(4 * $options))) : [0];
        $payload = self::read((int) ((array) unpack('V', substr($header, 2, 4)))[1]);
        return [ord($header[1]), substr($payload, 0, $lengths[0]), substr($payload, $lengths[0])];
    }

    private static function read(int $length): string
    {
        $read = '';
        while (strlen($read) < $length && !feof(STDIN)) {
            $read .= (string) fread(STDIN, $length - strlen($read));
        }
        return strlen($read) === $length ? $read : '';
    }

    private function send(int $flags, string $context, string $body): void
    {
        $start = pack('CCV', 0x14, $flags, strlen($context) + strlen($body));
        fwrite(STDOUT, $start . pack('VnV', crc32($start), 0, strlen($context)) . $context . $body);
        fflush(STDOUT);
    }

    /** Field `number` of a protobuf message, a text. */
    private static function field(string $message, int $number): string
    {
        for ($at = 0; $at < strlen($message);) {
            $key = self::varint($message, $at);
            $value = self::varint($message, $at);
            if (($key & 7) === 2) {
                if ($key >> 3 === $number) {
                    return substr($message, $at, $value);
                }
                $at += $value;
            }
        }
        return '';
    }

    private static function varint(string $message, int &$at): int
    {
        $value = 0;
        for ($shift = 0;; $shift += 7) {
            $byte = ord($message[$at++]);
            $value |= ($byte & 0x7f) << $shift;
            if ($byte < 0x80) {
                return $value;
            }
        }
    }
}
