<?php

/**
 * One PHP process fetching one row by primary key: through the package, by a bare exchange of the same
 * frames, by PDO directly against PostgreSQL, and by Doctrine DBAL over both. Prints one line
 * `name microseconds` per way: the median of its calls, in turns of 20.
 *
 *   php scripts/bench-package.php UNIX-ADDRESS PG-SOCKET-DIR PG-PORT [CALLS]
 */

declare(strict_types=1);

use Doctrine\DBAL\DriverManager;
use RrPgpool\Bridge\Doctrine\PgpoolDriver;
use RrPgpool\Client;

spl_autoload_register(static function (string $class): void {
    $file = __DIR__ . '/../php-client/src/' . strtr(substr($class, strlen('RrPgpool\\')), '\\', '/') . '.php';
    if (str_starts_with($class, 'RrPgpool\\') && is_file($file)) {
        require $file;
    }
});

const SQL = 'SELECT abalance FROM pgbench_accounts WHERE aid = ';
const KEYS = 1_000_000;
const TURN = 20;

if ($argc < 4) {
    fwrite(STDERR, "usage: bench-package.php UNIX-ADDRESS PG-SOCKET-DIR PG-PORT [CALLS]\n");
    exit(2);
}
[, $address, $socketDir, $port] = $argv;
$calls = (int) ($argv[4] ?? 1000);

/** The bytes that the package sends for a statement, and nothing but writing and reading. */
$bare = static function () use ($address): Closure {
    $body = (string) json_encode([
        'query' => SQL . '$1',
        'args' => [123456],
        'result' => 'rows',
        'request_id' => '0123456789abcdef',
    ]);
    $method = 'pgpool.Execute';
    $start = pack('CCV', 0x15, 0x08, strlen($method) + strlen($body));
    $frame = $start . pack('VnVV', crc32($start), 0, 1, strlen($method)) . $method . $body;
    $stream = stream_socket_client($address);
    if ($stream === false) {
        throw new RuntimeException("cannot connect to {$address}");
    }
    return static function () use ($stream, $frame): void {
        fwrite($stream, $frame);
        if (strlen((string) fread($stream, 8192)) < 20) {
            throw new RuntimeException('no reply');
        }
    };
};

$client = Client::create($address);
$pdo = new PDO(
    "pgsql:host={$socketDir};port={$port};dbname=app",
    'app',
    'secret',
    [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
);
$ways = [
    'bare' => $bare(),
    'package' => static function () use ($client): void {
        if ($client->execute(SQL . '$1', [random_int(1, KEYS)])->fetchOne() === null) {
            throw new RuntimeException('no row');
        }
    },
    'pdo' => static function () use ($pdo): void {
        $statement = $pdo->prepare(SQL . '?');
        $statement->execute([random_int(1, KEYS)]);
        if ($statement->fetch(PDO::FETCH_ASSOC) === false) {
            throw new RuntimeException('no row');
        }
    },
    'batch10' => static function () use ($client): void {
        $batch = $client->batch();
        for ($n = 0; $n < 10; $n++) {
            $batch->add(SQL . '$1', [random_int(1, KEYS)]);
        }
        if (count($batch->run()) !== 10) {
            throw new RuntimeException('results are missing');
        }
    },
];
if (stream_resolve_include_path('Doctrine/DBAL/autoload.php') !== false) {
    require_once 'Doctrine/DBAL/autoload.php';
    $query = static fn (Doctrine\DBAL\Connection $db): Closure => static function () use ($db): void {
        if ($db->fetchAssociative(SQL . '?', [random_int(1, KEYS)]) === false) {
            throw new RuntimeException('no row');
        }
    };
    $direct = ['driver' => 'pdo_pgsql', 'host' => $socketDir, 'port' => (int) $port, 'dbname' => 'app'];
    $ours = ['driverClass' => PgpoolDriver::class, 'driverOptions' => ['address' => $address]];
    $ways['dbal'] = $query(DriverManager::getConnection($ours));
    $ways['dbal_pdo'] = $query(DriverManager::getConnection($direct + ['user' => 'app', 'password' => 'secret']));
}

$times = array_fill_keys(array_keys($ways), []);
for ($done = -TURN; $done < $calls; $done += TURN) {
    foreach ($ways as $name => $way) {
        for ($n = 0; $n < TURN; $n++) {
            $begin = hrtime(true);
            $way();
            if ($done >= 0) {
                $times[$name][] = (hrtime(true) - $begin) / 1000;
            }
        }
    }
}
foreach ($times as $name => $microseconds) {
    sort($microseconds);
    printf("%s %.1f\n", $name, $microseconds[intdiv(count($microseconds), 2)]);
}
