<?php

/**
 * Finds the classes of these tests and starts the servers that they talk to. The servers stop when
 * this process ends, however it ends.
 */

declare(strict_types=1);

use RrPgpool\Tests\Servers;

require __DIR__ . '/../../examples/php/GoridgeException.php';
require __DIR__ . '/../../examples/php/GoridgeClient.php';
require __DIR__ . '/Servers.php';
require __DIR__ . '/PgpoolTestCase.php';
require __DIR__ . '/PdoTestCase.php';

Servers::start();
