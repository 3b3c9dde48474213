<?php

declare(strict_types=1);

namespace RrPgpool\Bridge\Doctrine;

use Doctrine\DBAL\Driver\Result as ResultInterface;
use PDO;
use PDOStatement;

/**
 * A result, for DBAL 3 and DBAL 4. The rows are here already, so reading them cannot fail.
 *
 * @internal
 */
final class Result implements ResultInterface
{
    public function __construct(private readonly PDOStatement $statement)
    {
    }

    /** @return list<mixed>|false */
    public function fetchNumeric(): array|false
    {
        return $this->statement->fetch(PDO::FETCH_NUM);
    }

    /** @return array<string, mixed>|false */
    public function fetchAssociative(): array|false
    {
        return $this->statement->fetch(PDO::FETCH_ASSOC);
    }

    public function fetchOne(): mixed
    {
        return $this->statement->fetchColumn();
    }

    /** @return list<list<mixed>> */
    public function fetchAllNumeric(): array
    {
        return $this->statement->fetchAll(PDO::FETCH_NUM);
    }

    /** @return list<array<string, mixed>> */
    public function fetchAllAssociative(): array
    {
        return $this->statement->fetchAll(PDO::FETCH_ASSOC);
    }

    /** @return list<mixed> */
    public function fetchFirstColumn(): array
    {
        return $this->statement->fetchAll(PDO::FETCH_COLUMN);
    }

    public function rowCount(): int
    {
        return $this->statement->rowCount();
    }

    public function columnCount(): int
    {
        return $this->statement->columnCount();
    }

    /** Asked for by newer versions of DBAL 4. */
    public function getColumnName(int $index): string
    {
        $meta = $index < 0 ? false : $this->statement->getColumnMeta($index);
        if ($meta === false) {
            throw new DriverException("there is no column {$index}");
        }

        return $meta['name'];
    }

    public function free(): void
    {
        $this->statement->closeCursor();
    }
}
