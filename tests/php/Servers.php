<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use RuntimeException;

/**
 * The servers under test: a throw-away PostgreSQL and two rr-pgpool processes in front of it, run by
 * server.sh for as long as its standard input is open.
 */
final class Servers
{
    private static string $tcp = '';
    private static string $unix = '';

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
        if ($words[0] !== 'ready' || count($words) !== 3) {
            throw new RuntimeException('the servers did not start; the reason is printed above');
        }
        [, self::$tcp, self::$unix] = $words;
        register_shutdown_function(static function () use ($script, $pipes): void {
            fclose($pipes[0]);
            fclose($pipes[1]);
            proc_close($script);
        });
    }

    /** Where a test connects that does not care: on TCP, or what PGPOOL_TEST_LISTENER says. */
    public static function address(): string
    {
        return getenv('PGPOOL_TEST_LISTENER') === 'unix' ? self::$unix : self::$tcp;
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
}
