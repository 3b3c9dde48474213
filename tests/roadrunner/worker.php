<?php

/**
 * An HTTP worker for RoadRunner: it speaks the relay's frames on its standard streams, where
 * applications use the package spiral/roadrunner-http, and answers every path with SQL through
 * the pool.
 */

declare(strict_types=1);

use RrPgpool\Client;
use RrPgpool\ClientInterface;
use RrPgpool\Result;

spl_autoload_register(static function (string $class): void {
    $path = dirname(__DIR__, 2) . '/php-client/src/' . strtr(substr($class, strlen('RrPgpool\\')), '\\', '/') . '.php';
    if (str_starts_with($class, 'RrPgpool\\') && is_file($path)) {
        require $path;
    }
});

const CONTROL = 0x01;
const JSON_CODEC = 0x08;
const PROTO_CODEC = 0x80;

/** The next frame: flags, context, body. The context is what its option says. */
function receive(): ?array
{
    $header = read_exactly(12);
    if ($header === '') {
        return null;
    }
    $options = (ord($header[0]) & 0x0f) - 3;
    $lengths = $options > 0 ? array_values((array) unpack('V*', read_exactly(4 * $options))) : [0];
    $payload = read_exactly((int) ((array) unpack('V', substr($header, 2, 4)))[1]);
    return [ord($header[1]), substr($payload, 0, $lengths[0]), substr($payload, $lengths[0])];
}

function read_exactly(int $length): string
{
    $read = '';
    while (strlen($read) < $length && !feof(STDIN)) {
        $read .= (string) fread(STDIN, $length - strlen($read));
    }
    return strlen($read) === $length ? $read : '';
}

function send(int $flags, string $context, string $body): void
{
    $start = pack('CCV', 0x14, $flags, strlen($context) + strlen($body));
    fwrite(STDOUT, $start . pack('VnV', crc32($start), 0, strlen($context)) . $context . $body);
    fflush(STDOUT);
}

/** Field `number` of a protobuf message, as text; the messages here have no other kind of interest. */
function field(string $message, int $number): string
{
    for ($at = 0; $at < strlen($message);) {
        $key = varint($message, $at);
        $value = varint($message, $at);
        if (($key & 7) === 2) {
            if ($key >> 3 === $number) {
                return substr($message, $at, $value);
            }
            $at += $value;
        }
    }
    return '';
}

function varint(string $message, int &$at): int
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

/** A protobuf Response with this status and no headers. */
function response(int $status): string
{
    return "\x08" . chr(($status & 0x7f) | 0x80) . chr($status >> 7);
}

/** The only value of a result. */
function first(Result $result): string
{
    return (string) $result->fetchColumn()[0];
}

/** What the paths do. */
function handle(ClientInterface $client, string $path, string $argument): string
{
    return match ($path) {
        '/' => first($client->execute('SELECT 40 + $1::int', [2])),
        '/slow' => first($client->execute('SELECT $1::text FROM pg_sleep(1)', [$argument])),
        '/transfer' => $client->transaction(static function (ClientInterface $tx) use ($argument): string {
            $tx->execute('INSERT INTO transfers VALUES ($1)', [$argument]);
            $tx->execute('SELECT pg_sleep(0.5)');
            return 'done';
        }),
        default => throw new RuntimeException("no such path: {$path}"),
    };
}

$client = Client::create((string) getenv('PGPOOL_RPC'));
while (($frame = receive()) !== null) {
    [$flags, $context, $body] = $frame;
    if (($flags & CONTROL) !== 0) {
        $command = json_decode($context . $body, true);
        if (isset($command['stop'])) {
            break;
        }
        send(CONTROL | JSON_CODEC, '', (string) json_encode(['pid' => getmypid()]));
        continue;
    }
    $uri = (array) parse_url(field($context, 4));
    parse_str($uri['query'] ?? '', $query);
    try {
        $answer = handle($client, $uri['path'] ?? '/', (string) ($query['id'] ?? ''));
        send(PROTO_CODEC, response(200), $answer);
    } catch (Throwable $error) {
        send(PROTO_CODEC, response(500), $error::class . ': ' . $error->getMessage());
    }
    $client->reset();
}
