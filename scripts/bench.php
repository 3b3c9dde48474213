<?php

/**
 * One PHP process fetching one row by primary key: Execute over goridge beside PDO directly against
 * PostgreSQL. Prints one line `name microseconds` per way and round: the median of its calls.
 *
 *   php scripts/bench.php TCP-ADDRESS UNIX-ADDRESS PG-SOCKET-DIR PG-PORT [ROUNDS] [CALLS]
 */

declare(strict_types=1);

use RrPgpool\Example\GoridgeClient;

require __DIR__ . '/../examples/php/GoridgeException.php';
require __DIR__ . '/../examples/php/GoridgeClient.php';

const SQL = 'SELECT abalance FROM pgbench_accounts WHERE aid = ';
const KEYS = 1_000_000;

/** A statement whose text never came before. */
$fresh = static function (string $placeholder): string {
    static $number = 0;

    return SQL . $placeholder . ' /* ' . getmypid() . '-' . ++$number . ' */';
};

$rpc = static function (string $address, ?Closure $sql = null): Closure {
    $client = new GoridgeClient($address);

    return static function () use ($client, $sql): void {
        $query = $sql === null ? SQL . '$1' : $sql('$1');
        $reply = $client->execute($query, [random_int(1, KEYS)]);
        if (($reply['rows'][0]['abalance'] ?? null) === null) {
            throw new RuntimeException('no row: ' . json_encode($reply));
        }
    };
};

$connect = static fn (string $host, string $port): PDO => new PDO(
    "pgsql:host={$host};port={$port};dbname=app",
    'app',
    'secret',
    [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
);

$pdo = static function (PDO $pdo, ?Closure $sql = null): Closure {
    return static function () use ($pdo, $sql): void {
        $statement = $pdo->prepare($sql === null ? SQL . '?' : $sql('?'));
        $statement->execute([random_int(1, KEYS)]);
        if ($statement->fetch(PDO::FETCH_ASSOC) === false) {
            throw new RuntimeException('no row');
        }
    };
};

$reuse = static function (PDO $pdo): Closure {
    $statement = $pdo->prepare(SQL . '?');

    return static function () use ($statement): void {
        $statement->execute([random_int(1, KEYS)]);
        $statement->fetchAll(PDO::FETCH_ASSOC);
    };
};

if ($argc < 5) {
    fwrite(STDERR, "usage: bench.php TCP-ADDRESS UNIX-ADDRESS PG-SOCKET-DIR PG-PORT [ROUNDS] [CALLS]\n");
    exit(2);
}
[, $tcp, $unix, $socketDir, $port] = $argv;
$rounds = (int) ($argv[5] ?? 5);
$calls = (int) ($argv[6] ?? 1000);

$ways = [
    'execute_tcp_warm' => $rpc($tcp),
    'pdo_tcp_warm' => $pdo($connect('127.0.0.1', $port)),
    'execute_unix_warm' => $rpc($unix),
    'pdo_unix_warm' => $pdo($connect($socketDir, $port)),
    'execute_tcp_cold' => $rpc($tcp, $fresh),
    'pdo_tcp_cold' => $pdo($connect('127.0.0.1', $port), $fresh),
    'execute_unix_cold' => $rpc($unix, $fresh),
    'pdo_unix_cold' => $pdo($connect($socketDir, $port), $fresh),
    'pdo_tcp_reused' => $reuse($connect('127.0.0.1', $port)),
    'pdo_unix_reused' => $reuse($connect($socketDir, $port)),
];
foreach ($ways as $call) {
    for ($i = 0; $i < 200; $i++) {
        $call();
    }
}
// In short turns: where the scheduler happens to put the processes then falls on all ways alike.
const TURN = 20;
for ($round = 0; $round < $rounds; $round++) {
    $times = array_fill_keys(array_keys($ways), []);
    for ($done = 0; $done < $calls; $done += TURN) {
        foreach ($ways as $name => $call) {
            for ($i = 0; $i < TURN; $i++) {
                $started = hrtime(true);
                $call();
                $times[$name][] = hrtime(true) - $started;
            }
        }
    }
    foreach ($times as $name => $taken) {
        sort($taken);
        printf("%s %.1f\n", $name, $taken[intdiv(count($taken), 2)] / 1000);
    }
}
