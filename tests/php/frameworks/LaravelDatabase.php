<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Frameworks;

use Illuminate\Database\Capsule\Manager;
use Illuminate\Database\Connection;
use PDO;
use PDOException;
use Throwable;

/** Laravel's own connection for PostgreSQL, with what its config/database.php says. */
final class LaravelDatabase implements Database
{
    private readonly Connection $connection;

    /**
     * @param array{host: string, port: string} $door
     * @param array<string, mixed> $more in place of what config/database.php has
     */
    public function __construct(array $door, array $more)
    {
        $manager = new Manager();
        $manager->addConnection($more + [
            'driver' => 'pgsql',
            'url' => null,
            'host' => $door['host'],
            'port' => $door['port'],
            'database' => 'frameworks',
            'username' => 'app',
            'password' => 'secret',
            'charset' => 'utf8',
            'prefix' => '',
            'prefix_indexes' => true,
            // Its name before version 9, and since.
            'schema' => 'public',
            'search_path' => 'public',
            'sslmode' => 'prefer',
        ]);
        $this->connection = $manager->getConnection();
        $this->connection->getPdo();
    }

    public function insert(string $table, array $row): int
    {
        return $this->connection->table($table)->insertGetId($row);
    }

    public function select(string $sql, array $args = []): array
    {
        return array_map(static fn (object $row): array => (array) $row, $this->connection->select($sql, $args));
    }

    public function execute(string $sql, array $args = []): int
    {
        return $this->connection->update($sql, $args);
    }

    public function prepare(string $sql): callable
    {
        $statement = $this->connection->getPdo()->prepare($sql);

        return static function (array $args) use ($statement): array {
            $statement->execute($args);

            return $statement->fetchAll(PDO::FETCH_ASSOC);
        };
    }

    public function transaction(callable $work): void
    {
        $this->connection->transaction($work(...));
    }

    public function sqlstate(Throwable $error): ?string
    {
        return $error instanceof PDOException ? $error->errorInfo[0] ?? null : null;
    }
}
