<?php

declare(strict_types=1);

namespace RrPgpool\Bridge\Doctrine\Dbal3;

use Doctrine\DBAL\Driver\Statement as StatementInterface;
use Doctrine\DBAL\ParameterType;
use PDO;
use PDOException;
use PDOStatement;
use RrPgpool\Bridge\Doctrine\DriverException;
use RrPgpool\Bridge\Doctrine\Result;

/**
 * A statement of DBAL 3, where types of parameters are numbers.
 *
 * @internal
 */
final class Statement implements StatementInterface
{
    private const TYPES = [
        ParameterType::NULL => PDO::PARAM_NULL,
        ParameterType::INTEGER => PDO::PARAM_INT,
        ParameterType::STRING => PDO::PARAM_STR,
        ParameterType::ASCII => PDO::PARAM_STR,
        ParameterType::BINARY => PDO::PARAM_LOB,
        ParameterType::LARGE_OBJECT => PDO::PARAM_LOB,
        ParameterType::BOOLEAN => PDO::PARAM_BOOL,
    ];

    public function __construct(private readonly PDOStatement $statement)
    {
    }

    /**
     * @param int|string $param
     * @param mixed $value
     * @param int $type
     */
    public function bindValue($param, $value, $type = ParameterType::STRING): bool
    {
        return $this->bindParam($param, $value, $type);
    }

    /**
     * @param int|string $param
     * @param mixed $variable
     * @param int $type
     * @param int|null $length
     */
    public function bindParam($param, &$variable, $type = ParameterType::STRING, $length = null): bool
    {
        try {
            return $this->statement->bindParam($param, $variable, self::TYPES[$type] ?? PDO::PARAM_STR);
        } catch (PDOException $error) {
            throw DriverException::from($error);
        }
    }

    /** @param array<array-key, mixed>|null $params */
    public function execute($params = null): Result
    {
        try {
            $this->statement->execute($params);
        } catch (PDOException $error) {
            throw DriverException::from($error);
        }

        return new Result($this->statement);
    }
}
