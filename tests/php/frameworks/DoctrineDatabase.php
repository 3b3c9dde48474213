<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Frameworks;

use Doctrine\DBAL\Connection;
use Doctrine\DBAL\Driver\Exception;
use Doctrine\DBAL\DriverManager;
use Doctrine\DBAL\ParameterType;
use Throwable;

/** Doctrine DBAL's own driver for PostgreSQL, as its documentation sets it up. */
final class DoctrineDatabase implements Database
{
    private readonly Connection $connection;

    /**
     * @param array{host: string, port: string} $door
     * @param list<string> $first statements of this worker's own
     */
    public function __construct(array $door, array $first)
    {
        $this->connection = DriverManager::getConnection([
            'driver' => 'pdo_pgsql',
            'host' => $door['host'],
            'port' => (int) $door['port'],
            'dbname' => 'frameworks',
            'user' => 'app',
            'password' => 'secret',
            'charset' => 'utf8',
        ]);
        foreach (['SELECT 1', ...$first] as $sql) {
            $this->connection->executeStatement($sql);
        }
        if (method_exists($this->connection, 'setNestTransactionsWithSavepoints')) {
            // DBAL 4 knows nothing else.
            @$this->connection->setNestTransactionsWithSavepoints(true);
        }
    }

    public function insert(string $table, array $row): int
    {
        $types = array_map(self::type(...), $row);
        if ($this->connection->isTransactionActive()) {
            $this->connection->insert($table, $row, $types);

            return (int) $this->connection->lastInsertId();
        }
        $columns = implode(', ', array_keys($row));
        $places = implode(', ', array_fill(0, count($row), '?'));
        $sql = "INSERT INTO {$table} ({$columns}) VALUES ({$places}) RETURNING id";

        return (int) $this->connection->fetchOne($sql, array_values($row), array_values($types));
    }

    public function select(string $sql, array $args = []): array
    {
        return $this->connection->fetchAllAssociative($sql, $args, array_map(self::type(...), $args));
    }

    public function execute(string $sql, array $args = []): int
    {
        return (int) $this->connection->executeStatement($sql, $args, array_map(self::type(...), $args));
    }

    public function prepare(string $sql): callable
    {
        $statement = $this->connection->prepare($sql);

        return static function (array $args) use ($statement): array {
            foreach ($args as $index => $value) {
                $statement->bindValue($index + 1, $value, self::type($value));
            }

            return $statement->executeQuery()->fetchAllAssociative();
        };
    }

    public function transaction(callable $work): void
    {
        $this->connection->transactional(static fn () => $work());
    }

    public function sqlstate(Throwable $error): ?string
    {
        return $error instanceof Exception ? $error->getSQLState() : null;
    }

    /** An int in DBAL 3, an enum in 4. */
    private static function type(mixed $value): mixed
    {
        return match (true) {
            is_bool($value) => ParameterType::BOOLEAN,
            is_int($value) => ParameterType::INTEGER,
            default => ParameterType::STRING,
        };
    }
}
