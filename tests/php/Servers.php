<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use RuntimeException;

/**
 * The servers under test: a throw-away PostgreSQL and two rr-pgpool processes in front of it, run by
 * server.sh for as long as its standard input is open. PGPOOL_TEST_LISTENER says which of the two
 * serves the tests that do not care: the one on TCP, or the one on Unix sockets.
 */
final class Servers
{
    private static string $tcp = '';
    private static string $unix = '';
    private static string $proxyTcp = '';
    private static string $proxyUnix = '';
    private static string $postgres = '';

    public static function start(): void
    {
        $root = dirname(__DIR__, 2);
        $target = getenv('CARGO_TARGET_DIR') ?: "{$root}/target";
        $binary = getenv('RR_PGPOOL_BINARY') ?: "{$target}/debug/rr-pgpool";
        $script = proc_open(
            ['sh', __DIR__ . '/server.sh', $binary],
            [['pipe', 'r'], ['pipe', 'w'], STDERR],
            $pipes,
        );
        if ($script === false) {
            throw new RuntimeException('cannot run server.sh');
        }
        $words = explode(' ', trim((string) fgets($pipes[1])));
        if ($words[0] !== 'ready' || count($words) !== 8) {
            throw new RuntimeException('the servers did not start; the reason is printed above');
        }
        [, self::$tcp, self::$unix] = $words;
        self::$proxyTcp = "host={$words[3]};port={$words[4]}";
        self::$proxyUnix = "host={$words[5]};port={$words[6]}";
        self::$postgres = "host=127.0.0.1;port={$words[7]}";
        register_shutdown_function(static function () use ($script, $pipes): void {
            fclose($pipes[0]);
            fclose($pipes[1]);
            proc_close($script);
        });
    }

    /** Where a test connects that does not care. */
    public static function address(): string
    {
        return self::isUnix() ? self::$unix : self::$tcp;
    }

    /** Host and port of the PostgreSQL door, as a data source name of PDO has them. */
    public static function proxy(): string
    {
        return self::isUnix() ? self::$proxyUnix : self::$proxyTcp;
    }

    /** Host and port of PostgreSQL itself, in the same form. */
    public static function postgres(): string
    {
        return self::$postgres;
    }

    /** The address of the server that listens on TCP. */
    public static function tcp(): string
    {
        return self::$tcp;
    }

    /** The address of the server that listens on a Unix socket. */
    public static function unix(): string
    {
        return self::$unix;
    }

    private static function isUnix(): bool
    {
        return getenv('PGPOOL_TEST_LISTENER') === 'unix';
    }
}
