<?php

/**
 * Statements, transactions, a session, statistics and health through rr-pgpool. Run `rr-pgpool demo`
 * in one terminal and this in another, or both with `make demo`.
 *
 * The address is the first argument, else PGPOOL_RPC, else tcp://127.0.0.1:6002.
 */

declare(strict_types=1);

use RrPgpool\Example\GoridgeClient;
use RrPgpool\Example\GoridgeException;
use RrPgpool\Example\Tour;

require __DIR__ . '/GoridgeException.php';
require __DIR__ . '/GoridgeClient.php';
require __DIR__ . '/Output.php';
require __DIR__ . '/Tour.php';

$address = $argv[1] ?? (getenv('PGPOOL_RPC') ?: 'tcp://127.0.0.1:6002');
try {
    (new Tour(new GoridgeClient($address)))->run($address);
} catch (GoridgeException | JsonException $error) {
    fwrite(STDERR, "demo.php: {$error->getMessage()}\n");
    exit(1);
}
