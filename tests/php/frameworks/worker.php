<?php

/**
 * One worker of FrameworksTest: connects, says `ready`, waits for a line, works, and prints a JSON object.
 *
 *   php worker.php laravel|doctrine HOST PORT NUMBER ROUNDS
 */

declare(strict_types=1);

use RrPgpool\Tests\Bridge\Frameworks;
use RrPgpool\Tests\Frameworks\DoctrineDatabase;
use RrPgpool\Tests\Frameworks\LaravelDatabase;
use RrPgpool\Tests\Frameworks\Worker;

// The distribution's frameworks are older than its PHP.
error_reporting(E_ALL & ~E_DEPRECATED);
ini_set('display_errors', 'stderr');

require __DIR__ . '/../../../php-client/tests/Bridge/Frameworks.php';
foreach (['Database', 'LaravelDatabase', 'DoctrineDatabase', 'Worker'] as $class) {
    require __DIR__ . "/{$class}.php";
}

[, $framework, $host, $port, $number, $rounds] = $argv;
$door = ['host' => $host, 'port' => $port];
$tenant = (int) $number % 2 === 1;
$zone = 'Asia/Tokyo';
if ($framework === 'laravel') {
    Frameworks::missing('Illuminate\Database\Connection');
    $database = new LaravelDatabase($door, $tenant
        ? ['schema' => 'tenant', 'search_path' => 'tenant', 'timezone' => $zone, 'application_name' => "w{$number}"]
        : []);
    $settings = $tenant ? ['search_path' => 'tenant', 'application_name' => "w{$number}"] : ['search_path' => 'public'];
} else {
    Frameworks::missing('Doctrine\DBAL\Connection');
    $database = new DoctrineDatabase($door, $tenant ? ['SET search_path TO tenant', "SET TIME ZONE '{$zone}'"] : []);
    $settings = ['search_path' => $tenant ? 'tenant' : '"$user", public'];
}
$settings += ['client_encoding' => 'UTF8', 'TimeZone' => $tenant ? $zone : 'UTC'];

echo "ready\n";
fgets(STDIN);
$result = (new Worker($database, (int) $number, $settings))->run((int) $rounds);
echo json_encode($result), "\n";
