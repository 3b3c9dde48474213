<?php

/**
 * PDO through rr-pgpool's RPC door. Run `rr-pgpool demo` in one terminal and this in another:
 *
 *     php examples/pdo/pdo.php
 *
 * The address is the first argument, else PGPOOL_RPC, else tcp://127.0.0.1:6002.
 */

declare(strict_types=1);

use RrPgpool\Pdo\PgpoolPdo;

// An application has Composer's vendor/autoload.php instead.
spl_autoload_register(static function (string $class): void {
    $file = __DIR__ . '/../../php-client/src/' . strtr(substr($class, strlen('RrPgpool\\')), '\\', '/') . '.php';
    if (str_starts_with($class, 'RrPgpool\\') && is_file($file)) {
        require $file;
    }
});

// Settings hold for every statement, whichever server connection it runs on.
$pdo = PgpoolPdo::connect($argv[1] ?? null, 'primary', settings: ['TimeZone' => 'Europe/Berlin'], options: [
    PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
]);
echo 'PostgreSQL ', $pdo->getAttribute(PDO::ATTR_SERVER_VERSION), "\n";

$statement = $pdo->prepare('SELECT name, joined FROM users WHERE id = ANY(:ids) AND profile ?? :key ORDER BY id');
$statement->execute(['ids' => '{1,2,3}', 'key' => 'visits']);
foreach ($statement as $row) {
    echo "{$row['name']} joined on {$row['joined']}\n";
}
$counts = $pdo->query('SELECT user_id, count(*) FROM orders GROUP BY 1 ORDER BY 1 LIMIT 3');
foreach ($counts->fetchAll(PDO::FETCH_KEY_PAIR) as $user => $count) {
    echo "user {$user} has {$count} orders\n";
}

$pdo->beginTransaction();
$pdo->prepare('INSERT INTO users (name, email, joined) VALUES (?, ?, now())')->execute(['Ann', 'ann@example.org']);
// Inside of a transaction the connection is ours; elsewhere, use INSERT ... RETURNING.
echo "a new user has number {$pdo->lastInsertId()}\n";
try {
    $pdo->exec("INSERT INTO users (name, email, joined) VALUES ('Ann', 'ann@example.org', now())");
} catch (PDOException $error) {
    echo $error->getCode(), ': ', $error->getMessage(), "\n";
}
$pdo->rollBack();

// A connection of one's own, for what lives on one.
$pdo->openSession();
$pdo->exec('CREATE TEMPORARY TABLE scratch AS SELECT * FROM users; ANALYZE scratch');
echo $pdo->query('SELECT count(*) FROM scratch')->fetchColumn(), " users were copied\n";
$pdo->closeSession();
