<?php

declare(strict_types=1);

namespace RrPgpool\Bridge\Laravel;

use Illuminate\Database\Connection;
use Illuminate\Support\ServiceProvider;

/**
 * Adds the database driver `pgpool`, and cleans its connections up wherever one process goes on to
 * the next request, task, tick or job.
 */
final class PgpoolServiceProvider extends ServiceProvider
{
    public const DRIVER = 'pgpool';

    /** Of packages that may be absent, so by name. */
    private const EVENTS = [
        'Laravel\Octane\Events\RequestTerminated',
        'Laravel\Octane\Events\TaskTerminated',
        'Laravel\Octane\Events\TickTerminated',
        'Illuminate\Queue\Events\Looping',
    ];

    public function register(): void
    {
        // Laravel asks for the connector by this name, and for the connection by the resolver.
        $this->app->bind('db.connector.' . self::DRIVER, PgpoolConnector::class);
        Connection::resolverFor(
            self::DRIVER,
            static fn ($pdo, $database, $prefix, $config): PgpoolConnection
                => new PgpoolConnection($pdo, $database, $prefix, $config),
        );
    }

    public function boot(): void
    {
        foreach (self::EVENTS as $event) {
            if (class_exists($event)) {
                $this->app['events']->listen($event, $this->endRequest(...));
            }
        }
    }

    private function endRequest(): void
    {
        if (!$this->app->resolved('db')) {
            return;
        }
        foreach ($this->app['db']->getConnections() as $name => $connection) {
            if ($connection instanceof PgpoolConnection && $connection->endRequest() && $this->app->bound('log')) {
                $this->app['log']->warning("A transaction of connection {$name} was left open and rolled back.");
            }
        }
    }
}
