<?php

declare(strict_types=1);

namespace RrPgpool\Bridge\Laravel;

use Illuminate\Database\Connectors\ConnectorInterface;
use InvalidArgumentException;
use PDO;
use RrPgpool\IsolationLevel;
use RrPgpool\Pdo\PgpoolPdo;
use RrPgpool\Route;
use RrPgpool\Transport\StreamTransport;

/**
 * Makes the PDO facade of a connection with driver `pgpool`. What Laravel's own connector would SET at
 * every connect are settings here, which the pool applies where the statement runs.
 *
 *     'pgpool' => [
 *         'driver' => 'pgpool',
 *         'address' => env('PGPOOL_RPC', 'tcp://127.0.0.1:6002'),
 *         'pool' => 'primary',            // as the pool's configuration names the database
 *         'database' => 'app',            // as PostgreSQL names it: Laravel asks its catalogues by it
 *         'search_path' => 'app,public',
 *         'timezone' => 'UTC',
 *         'settings' => ['app.tenant' => '7'],
 *         'read' => ['route' => 'replica'],    // where the pool has replicas; without it reads go
 *         'write' => ['route' => 'primary'],   // where the pool's read_write_split sends them
 *     ],
 *
 * Host, user and password are the pool's business; here they are ignored.
 */
final class PgpoolConnector implements ConnectorInterface
{
    private const OPTIONS = [
        PDO::ATTR_CASE => PDO::CASE_NATURAL,
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
        PDO::ATTR_ORACLE_NULLS => PDO::NULL_NATURAL,
        PDO::ATTR_STRINGIFY_FETCHES => false,
    ];
    /** PostgreSQL's parameters by Laravel's name. */
    private const SETTINGS = [
        'timezone' => 'TimeZone',
        'application_name' => 'application_name',
        'synchronous_commit' => 'synchronous_commit',
    ];

    /** @param array<string, mixed> $config */
    public function connect(array $config): PgpoolPdo
    {
        $charset = strtolower(str_replace('-', '', (string) ($config['charset'] ?? 'utf8')));
        if ($charset !== 'utf8') {
            throw new InvalidArgumentException("The pool speaks UTF-8 alone; the charset was {$config['charset']}.");
        }
        $address = $config['address'] ?? '';

        return new PgpoolPdo(
            new StreamTransport($address === '' ? null : $address),
            (string) ($config['pool'] ?? 'primary'),
            self::settings($config),
            ($config['options'] ?? []) + self::OPTIONS,
            self::isolation($config['isolation_level'] ?? null),
            route: self::route($config['route'] ?? null),
        );
    }

    /**
     * @param array<string, mixed> $config
     * @return array<string, string|int|float|bool>
     */
    private static function settings(array $config): array
    {
        $settings = $config['settings'] ?? [];
        foreach (self::SETTINGS as $key => $name) {
            if (isset($config[$key])) {
                $settings[$name] = $config[$key];
            }
        }
        // Laravel called it schema before version 9.
        $path = $config['search_path'] ?? $config['schema'] ?? null;
        if ($path !== null) {
            $settings['search_path'] = self::searchPath($path);
        }

        return $settings;
    }

    /** @param string|list<string> $path names, with or without quotes */
    private static function searchPath(string|array $path): string
    {
        $names = [];
        foreach ((array) $path as $part) {
            foreach (preg_split('/[\s,]+/', $part, -1, PREG_SPLIT_NO_EMPTY) ?: [] as $name) {
                $names[] = '"' . str_replace('"', '""', trim($name, '"\'')) . '"';
            }
        }

        return implode(', ', $names);
    }

    private static function isolation(?string $level): ?IsolationLevel
    {
        if ($level === null) {
            return null;
        }

        return IsolationLevel::tryFrom(preg_replace('/[\s-]+/', '_', strtolower(trim($level))))
            ?? throw new InvalidArgumentException("There is no isolation level {$level}.");
    }

    private static function route(?string $route): Route
    {
        return Route::tryFrom(strtolower(trim($route ?? Route::Auto->value)))
            ?? throw new InvalidArgumentException("There is no route {$route}: use auto, primary or replica.");
    }
}
