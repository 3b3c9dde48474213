<?php

/**
 * Runs behaviours of one driver and prints one line for each: run.php pdo|pgsql NAME...
 * With `--client TABLE` in place of names it is one of the many clients of many_clients.
 */

declare(strict_types=1);

use RrPgpool\Drivers\PdoBehaviours;
use RrPgpool\Drivers\PgsqlBehaviours;
use RrPgpool\Drivers\Skip;

foreach (['Skip', 'SqlError', 'Client', 'Behaviours', 'PdoClient', 'PdoBehaviours'] as $class) {
    require __DIR__ . "/{$class}.php";
}
foreach (['PgsqlClient', 'PgsqlBehaviours'] as $class) {
    require __DIR__ . "/{$class}.php";
}

$names = array_slice($argv, 2);
$class = ['pdo' => PdoBehaviours::class, 'pgsql' => PgsqlBehaviours::class][$argv[1]];
if ($names[0] === '--client') {
    (new $class())->workAsOneOfMany($names[1]);
    exit(0);
}

echo '# ', (new $class())->title(), ', PHP ', PHP_VERSION, "\n";
$status = 0;
foreach ($names as $name) {
    $behaviours = new $class();
    try {
        $method = lcfirst(str_replace('_', '', ucwords($name, '_')));
        if (!method_exists($behaviours, $method)) {
            throw new RuntimeException('the driver leaves it out');
        }
        $behaviours->$method();
        echo "ok {$name}\n";
    } catch (Skip $skip) {
        echo "skip {$name}: {$skip->getMessage()}\n";
    } catch (Throwable $error) {
        $status = 1;
        $reason = preg_replace('/\s+/', ' ', get_class($error) . ': ' . $error->getMessage());
        echo "not ok {$name}: {$reason}\n";
    }
    $behaviours->close();
}
exit($status);
