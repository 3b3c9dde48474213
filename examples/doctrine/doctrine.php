<?php

/**
 * Doctrine DBAL through rr-pgpool. Run `rr-pgpool demo` in one terminal and this in another:
 *
 *     apt-get install php-doctrine-dbal            # or any vendor/autoload.php as second argument
 *     php examples/doctrine/doctrine.php tcp://127.0.0.1:6002
 *
 * With Symfony, the same goes into doctrine.yaml: driver_class and options.
 */

declare(strict_types=1);

use Doctrine\DBAL\Connection;
use Doctrine\DBAL\DriverManager;
use Doctrine\DBAL\Exception\UniqueConstraintViolationException;
use RrPgpool\Bridge\Doctrine\ConnectionResetter;
use RrPgpool\Bridge\Doctrine\PgpoolDriver;

require $argv[2] ?? 'Doctrine/DBAL/autoload.php';
spl_autoload_register(static function (string $class): void {
    $file = __DIR__ . '/../../php-client/src/' . strtr(substr($class, strlen('RrPgpool\\')), '\\', '/') . '.php';
    if (str_starts_with($class, 'RrPgpool\\') && is_file($file)) {
        require $file;
    }
});

$db = DriverManager::getConnection([
    'driverClass' => PgpoolDriver::class,
    'driverOptions' => [
        'address' => $argv[1] ?? '',               // '' is PGPOOL_RPC, else tcp://127.0.0.1:6002
        'pool' => 'primary',                       // as rr-pgpool's configuration names the database
        'settings' => ['TimeZone' => 'UTC'],       // PostgreSQL parameters for every statement
    ],
]);

$sql = 'SELECT id, name FROM users WHERE joined > :day ORDER BY id LIMIT 3';
$parameters = ['day' => new DateTimeImmutable('2024-02-01')];
foreach ($db->fetchAllKeyValue($sql, $parameters, ['day' => 'date_immutable']) as $id => $name) {
    echo "{$id}: {$name}\n";
}

try {
    $db->transactional(static function (Connection $db): void {
        $db->insert('users', ['name' => 'Ann', 'email' => 'ann@example.org', 'joined' => '2026-01-01']);
        echo "a new user has number {$db->lastInsertId()}\n";
        $db->insert('users', ['name' => 'Ann', 'email' => 'ann@example.org', 'joined' => '2026-01-01']);
    });
} catch (UniqueConstraintViolationException $error) {
    echo "rolled back: {$error->getMessage()}\n";
}

// What a long-running worker does at the end of each request.
$db->beginTransaction();
(new ConnectionResetter([$db]))->reset();
echo $db->isTransactionActive() ? "still open\n" : "nothing is left open\n";
