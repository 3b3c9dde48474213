<?php

/**
 * Finds the classes without Composer, and starts the servers that the integration tests talk to. They
 * stop when this process ends. PGPOOL_TEST_UNIT=1 leaves them out, for `--testsuite unit`.
 */

declare(strict_types=1);

use RrPgpool\Tests\Servers;

spl_autoload_register(static function (string $class): void {
    $places = [
        'RrPgpool\\Tests\\' => __DIR__,
        'RrPgpool\\Protobuf\\' => dirname(__DIR__) . '/protobuf',
        'RrPgpool\\' => dirname(__DIR__) . '/src',
        // Where Debian has google/protobuf, which brings no autoloader.
        'Google\\Protobuf\\' => '/usr/share/php/Google/Protobuf',
        'GPBMetadata\\Google\\Protobuf\\' => '/usr/share/php/GPBMetadata/Google/Protobuf',
    ];
    foreach ($places as $prefix => $directory) {
        if (str_starts_with($class, $prefix)) {
            $file = $directory . '/' . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
            if (is_file($file)) {
                require $file;

                return;
            }
        }
    }
});

// Where Debian has psr/log.
$logger = '/usr/share/php/Psr/Log/autoload.php';
if (!interface_exists(Psr\Log\LoggerInterface::class) && is_file($logger)) {
    require $logger;
}

if (getenv('PGPOOL_TEST_UNIT') !== '1') {
    require dirname(__DIR__, 2) . '/tests/php/Servers.php';
    Servers::start();
}
