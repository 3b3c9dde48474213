<?php

declare(strict_types=1);

namespace RrPgpool\Bridge\Doctrine\Dbal4;

use Doctrine\DBAL\Driver\Statement as StatementInterface;
use Doctrine\DBAL\ParameterType;
use PDO;
use PDOException;
use PDOStatement;
use RrPgpool\Bridge\Doctrine\DriverException;
use RrPgpool\Bridge\Doctrine\Result;

/**
 * A statement of DBAL 4, where types of parameters are an enum.
 *
 * @internal
 */
final class Statement implements StatementInterface
{
    public function __construct(private readonly PDOStatement $statement)
    {
    }

    public function bindValue(
        int|string $param,
        mixed $value,
        ParameterType $type = ParameterType::STRING,
    ): void {
        try {
            $this->statement->bindValue($param, $value, self::type($type));
        } catch (PDOException $error) {
            throw DriverException::from($error);
        }
    }

    public function execute(): Result
    {
        try {
            $this->statement->execute();
        } catch (PDOException $error) {
            throw DriverException::from($error);
        }

        return new Result($this->statement);
    }

    private static function type(ParameterType $type): int
    {
        return match ($type) {
            ParameterType::NULL => PDO::PARAM_NULL,
            ParameterType::INTEGER => PDO::PARAM_INT,
            ParameterType::BOOLEAN => PDO::PARAM_BOOL,
            ParameterType::BINARY, ParameterType::LARGE_OBJECT => PDO::PARAM_LOB,
            default => PDO::PARAM_STR,
        };
    }
}
