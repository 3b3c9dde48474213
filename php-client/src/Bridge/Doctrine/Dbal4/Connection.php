<?php

declare(strict_types=1);

namespace RrPgpool\Bridge\Doctrine\Dbal4;

use Doctrine\DBAL\Driver\Connection as ConnectionInterface;
use RrPgpool\Bridge\Doctrine\ConnectionMethods;

/**
 * A connection of DBAL 4.
 *
 * @internal
 */
final class Connection implements ConnectionInterface
{
    use ConnectionMethods;

    public function prepare(string $sql): Statement
    {
        return new Statement($this->prepared($sql));
    }

    public function quote(string $value): string
    {
        return $this->literal($value);
    }

    public function lastInsertId(): string
    {
        return $this->guard(fn (): string => $this->pdo->lastInsertId());
    }

    public function beginTransaction(): void
    {
        $this->begin();
    }

    public function commit(): void
    {
        $this->end();
    }

    public function rollBack(): void
    {
        $this->undo();
    }
}
