<?php

/**
 * The HTTP worker that RoadRunner starts. Applications use the package spiral/roadrunner-http where
 * this one has a relay of its own.
 */

declare(strict_types=1);

use RrPgpool\Client;
use RrPgpool\Tests\RoadRunner\Application;
use RrPgpool\Tests\RoadRunner\Relay;

spl_autoload_register(static function (string $class): void {
    $source = dirname(__DIR__, 2) . '/php-client/src';
    foreach (['RrPgpool\\Tests\\RoadRunner\\' => __DIR__, 'RrPgpool\\' => $source] as $prefix => $directory) {
        $file = $directory . '/' . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
        if (str_starts_with($class, $prefix) && is_file($file)) {
            require $file;
            return;
        }
    }
});

$relay = new Relay();
$application = new Application(Client::create());
while (($uri = $relay->next()) !== null) {
    try {
        $relay->respond(200, $application->handle($uri));
    } catch (Throwable $error) {
        $relay->respond(500, $error::class . ': ' . $error->getMessage());
    }
}
