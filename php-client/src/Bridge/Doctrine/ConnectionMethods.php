<?php

declare(strict_types=1);

namespace RrPgpool\Bridge\Doctrine;

use Doctrine\DBAL\Driver\Result as ResultInterface;
use PDO;
use PDOException;
use PDOStatement;
use RrPgpool\Pdo\PgpoolPdo;

/**
 * What the connections for DBAL 3 and DBAL 4 have in common.
 *
 * @internal
 */
trait ConnectionMethods
{
    public function __construct(private readonly PgpoolPdo $pdo)
    {
    }

    public function query(string $sql): ResultInterface
    {
        return new Result($this->guard(fn (): PDOStatement => $this->pdo->query($sql)));
    }

    public function exec(string $sql): int
    {
        return $this->guard(fn (): int => $this->pdo->exec($sql));
    }

    public function getServerVersion(): string
    {
        return $this->guard(fn (): string => $this->pdo->getAttribute(PDO::ATTR_SERVER_VERSION));
    }

    public function getNativeConnection(): PgpoolPdo
    {
        return $this->pdo;
    }

    private function prepared(string $sql): PDOStatement
    {
        return $this->guard(fn (): PDOStatement => $this->pdo->prepare($sql));
    }

    private function begin(): void
    {
        $this->guard($this->pdo->beginTransaction(...));
    }

    private function end(): void
    {
        $this->guard($this->pdo->commit(...));
    }

    /**
     * After a commit that failed nothing is open here, while DBAL 3 still rolls back; its exception
     * would hide the one that says why.
     */
    private function undo(): void
    {
        if ($this->pdo->inTransaction()) {
            $this->guard($this->pdo->rollBack(...));
        }
    }

    private function literal(string $value): string
    {
        $literal = $this->pdo->quote($value);
        if ($literal === false) {
            throw new DriverException('only UTF-8 without zero bytes can be quoted; bind bytes instead', '22021');
        }

        return $literal;
    }

    /**
     * @template T
     * @param callable(): T $work
     * @return T
     * @throws DriverException
     */
    private function guard(callable $work): mixed
    {
        try {
            return $work();
        } catch (PDOException $error) {
            throw DriverException::from($error);
        }
    }
}
