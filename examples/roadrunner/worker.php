<?php

/**
 * The HTTP worker of this example; .rr.yaml beside it says how to run it.
 */

declare(strict_types=1);

use Nyholm\Psr7\Factory\Psr17Factory;
use Nyholm\Psr7\Response;
use RrPgpool\Client;
use RrPgpool\Exception\PgpoolException;
use Spiral\RoadRunner\Http\PSR7Worker;
use Spiral\RoadRunner\Worker;

require __DIR__ . '/vendor/autoload.php';

$factory = new Psr17Factory();
$worker = new PSR7Worker(Worker::create(), $factory, $factory, $factory);
// It connects at the first statement, and tries for a while: the pool may start after this worker.
$client = Client::create();

while (($request = $worker->waitRequest()) !== null) {
    try {
        $row = $client->execute('SELECT current_database() AS database, now() AS now')->fetchOne();
        $worker->respond(new Response(200, ['Content-Type' => 'application/json'], (string) json_encode($row)));
    } catch (PgpoolException $error) {
        $worker->respond(new Response(503, [], "{$error->getMessage()} (SQLSTATE {$error->sqlstate()})\n"));
    } finally {
        // What a request has left open must not meet the next one.
        $client->reset();
    }
}
