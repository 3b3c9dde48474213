<?php

declare(strict_types=1);

namespace RrPgpool\Bridge\Doctrine\Dbal3;

use Doctrine\DBAL\Driver\ServerInfoAwareConnection;
use Doctrine\DBAL\ParameterType;
use RrPgpool\Bridge\Doctrine\ConnectionMethods;

/**
 * A connection of DBAL 3.
 *
 * @internal
 */
final class Connection implements ServerInfoAwareConnection
{
    use ConnectionMethods;

    public function prepare(string $sql): Statement
    {
        return new Statement($this->prepared($sql));
    }

    /**
     * @param mixed $value
     * @param int $type
     */
    public function quote($value, $type = ParameterType::STRING): string
    {
        return $this->literal((string) $value);
    }

    /** @param string|null $name of a sequence */
    public function lastInsertId($name = null): string
    {
        return $this->guard(fn (): string => $this->pdo->lastInsertId($name));
    }

    public function beginTransaction(): bool
    {
        $this->begin();

        return true;
    }

    public function commit(): bool
    {
        $this->end();

        return true;
    }

    public function rollBack(): bool
    {
        $this->undo();

        return true;
    }
}
