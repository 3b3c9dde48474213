<?php

/**
 * Streams a result of many rows through a cursor and prints one line: rows, seconds, PHP's peak memory
 * in MiB, and the server's resident memory before and at most, in MiB.
 *
 *   php scripts/bench-stream.php ADDRESS SERVER-PID [ROWS]
 */

declare(strict_types=1);

use RrPgpool\Client;

spl_autoload_register(static function (string $class): void {
    $file = __DIR__ . '/../php-client/src/' . strtr(substr($class, strlen('RrPgpool\\')), '\\', '/') . '.php';
    if (str_starts_with($class, 'RrPgpool\\') && is_file($file)) {
        require $file;
    }
});

if ($argc < 3) {
    fwrite(STDERR, "usage: bench-stream.php ADDRESS SERVER-PID [ROWS]\n");
    exit(2);
}
[, $address, $pid] = $argv;
$rows = (int) ($argv[3] ?? 10_000_000);

$resident = static function () use ($pid): float {
    preg_match('/^VmRSS:\s+(\d+)/m', (string) file_get_contents("/proc/{$pid}/status"), $found);

    return (int) $found[1] / 1024;
};

$client = Client::create($address);
$before = $most = $resident();
$begin = microtime(true);
$seen = 0;
foreach ($client->stream('SELECT n, md5(n::text) AS m FROM generate_series(1, $1) AS n', [$rows]) as $row) {
    if ($row['n'] !== ++$seen) {
        throw new RuntimeException("row {$seen} is {$row['n']}");
    }
    if ($seen % 100_000 === 0) {
        $most = max($most, $resident());
    }
}
if ($seen !== $rows) {
    throw new RuntimeException("{$seen} rows");
}
$peak = memory_get_peak_usage(true) / 1024 / 1024;
printf("%d %.1f %.1f %.1f %.1f\n", $seen, microtime(true) - $begin, $peak, $before, $most);
