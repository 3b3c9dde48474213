<?php

declare(strict_types=1);

namespace RrPgpool\Drivers;

use PDO;
use PDOException;

/** A connection of PDO. */
final class PdoClient implements Client
{
    public function __construct(public ?PDO $pdo)
    {
    }

    public function rows(string $sql, array $args = []): array
    {
        return $this->told(function () use ($sql, $args): array {
            $statement = $this->pdo->prepare($sql);
            $statement->execute($args);
            // A statement without columns has no rows to ask for.
            $rows = $statement->columnCount() > 0 ? $statement->fetchAll(PDO::FETCH_NUM) : [];

            return array_map(fn (array $row): array => array_map($this->text(...), $row), $rows);
        });
    }

    /**
     * Runs an action of PDO's and puts its errors into the form of all drivers.
     *
     * @template T
     * @param callable(): T $action
     * @return T
     */
    public function told(callable $action): mixed
    {
        try {
            return $action();
        } catch (PDOException $error) {
            throw new SqlError($error->errorInfo[0] ?? '', $error->getMessage());
        }
    }

    public function close(): void
    {
        $this->pdo = null;
    }

    private function text(mixed $value): ?string
    {
        return match (true) {
            $value === null => null,
            is_resource($value) => stream_get_contents($value),
            default => (string) $value,
        };
    }
}
