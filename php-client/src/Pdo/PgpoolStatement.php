<?php

declare(strict_types=1);

namespace RrPgpool\Pdo;

use Iterator;
use PDO;
use PDOStatement;
use RrPgpool\Pdo\Internal\AllRows;
use RrPgpool\Pdo\Internal\BoundColumns;
use RrPgpool\Pdo\Internal\BoundParameters;
use RrPgpool\Pdo\Internal\ColumnMeta;
use RrPgpool\Pdo\Internal\ErrorState;
use RrPgpool\Pdo\Internal\FetchMode;
use RrPgpool\Pdo\Internal\Link;
use RrPgpool\Pdo\Internal\ResultSet;
use RrPgpool\Pdo\Internal\RowShape;
use RrPgpool\Pdo\Internal\TranslatedSql;
use ValueError;

/**
 * A statement of PgpoolPdo. The whole result comes with execute(), as with pdo_pgsql.
 */
class PgpoolStatement extends PDOStatement
{
    private const UNSUPPORTED = 'IM001';

    /** With a value from the beginning: PDOStatement refuses to assign one, and a reference needs one. */
    public string $queryString = '';

    private readonly BoundParameters $parameters;
    private readonly BoundColumns $columns;
    private readonly ErrorState $errors;
    private FetchMode $mode;
    private ?ResultSet $result = null;

    /**
     * @internal statements come from PgpoolPdo
     * @param PgpoolPdo $pdo kept, as PDO does it, so that its transaction lives as long as a statement
     */
    public function __construct(
        private readonly PgpoolPdo $pdo,
        private readonly Link $link,
        string $query,
        private readonly TranslatedSql $translated,
        ?FetchMode $mode = null,
    ) {
        $text = &$this->queryString;
        $text = $query;
        $this->parameters = new BoundParameters($translated);
        $this->columns = new BoundColumns();
        $this->errors = new ErrorState();
        $this->mode = $mode ?? FetchMode::plain($link->attributes->get(PDO::ATTR_DEFAULT_FETCH_MODE));
    }

    /** @param array<array-key, mixed>|null $params instead of the values bound before */
    public function execute(?array $params = null): bool
    {
        try {
            if ($params !== null) {
                $this->parameters->bindAll($params);
            }
            $this->executeFor($this->link->execute($this->translated->sql, $this->parameters->arguments()));
        } catch (PgpoolPdoException $error) {
            $this->result = null;

            return $this->fail($error, 'execute');
        }

        return true;
    }

    /**
     * Takes a reply as the statement's result.
     *
     * @internal
     * @param array<string, mixed> $reply
     */
    public function executeFor(array $reply): void
    {
        $this->result = ResultSet::of($reply, $this->link->attributes);
        $this->errors->succeed();
    }

    public function bindValue(int|string $param, mixed $value, int $type = PDO::PARAM_STR): bool
    {
        return $this->bind($param, $value, $type, 'bindValue');
    }

    public function bindParam(
        int|string $param,
        mixed &$var,
        int $type = PDO::PARAM_STR,
        int $maxLength = 0,
        mixed $driverOptions = null,
    ): bool {
        return $this->bind($param, $var, $type, 'bindParam');
    }

    public function bindColumn(
        int|string $column,
        mixed &$var,
        int $type = PDO::PARAM_STR,
        int $maxLength = 0,
        mixed $driverOptions = null,
    ): bool {
        if (is_int($column) && $column < 1) {
            throw new ValueError(
                'PDOStatement::bindColumn(): Argument #1 ($column) must be greater than or equal to 1',
            );
        }
        $this->columns->bind($column, $var, $type);
        try {
            if ($this->result !== null) {
                $this->columns->check($this->result->names);
            }
        } catch (PgpoolPdoException $error) {
            return $this->fail($error, 'bindColumn');
        }

        return true;
    }

    public function setFetchMode(int $mode, mixed ...$args): bool
    {
        $this->mode = FetchMode::forStatement($mode, array_values($args), 'PDOStatement::setFetchMode', 1);

        return true;
    }

    /** Rows come in order; the cursor's other orientations need a scrollable one, which there is not. */
    public function fetch(
        int $mode = PDO::FETCH_DEFAULT,
        int $cursorOrientation = PDO::FETCH_ORI_NEXT,
        int $cursorOffset = 0,
    ): mixed {
        $wanted = $mode === PDO::FETCH_DEFAULT ? $this->mode : FetchMode::forRow($mode, $this->mode);
        try {
            return $this->next($wanted, false);
        } catch (PgpoolPdoException $error) {
            return $this->fail($error, 'fetch');
        }
    }

    /** @return array<array-key, mixed> */
    public function fetchAll(int $mode = PDO::FETCH_DEFAULT, mixed ...$args): array
    {
        $wanted = FetchMode::forAll($mode, array_values($args), $this->mode);
        if ($this->result === null) {
            return [];
        }
        try {
            return AllRows::of($this->result, $wanted, $this->columns);
        } catch (PgpoolPdoException $error) {
            $this->fail($error, 'fetchAll');

            return [];
        }
    }

    public function fetchColumn(int $column = 0): mixed
    {
        $row = $this->result === null || $this->result->names === [] ? null : $this->read();
        if ($row === null) {
            return false;
        }
        if (!array_key_exists($column, $row)) {
            throw new ValueError($column < 0
                ? 'Column index must be greater than or equal to 0'
                : 'Invalid column index');
        }

        return $row[$column];
    }

    /**
     * @template T of object
     * @param class-string<T>|null $class
     * @param array<array-key, mixed> $constructorArgs
     * @return T|false
     */
    public function fetchObject(?string $class = 'stdClass', array $constructorArgs = []): object|false
    {
        $arguments = [$class ?? 'stdClass', $constructorArgs];
        $mode = FetchMode::forStatement(PDO::FETCH_CLASS, $arguments, 'PDOStatement::fetchObject', 0);

        return $this->next($mode, false);
    }

    public function getIterator(): Iterator
    {
        // A row may itself be false, so the end is something else.
        $end = new \stdClass();
        while (($row = $this->next($this->mode, $end)) !== $end) {
            yield $row;
        }
    }

    public function rowCount(): int
    {
        return $this->result?->count() ?? 0;
    }

    public function columnCount(): int
    {
        return count($this->result->names ?? []);
    }

    /** @return array<string, mixed>|false */
    public function getColumnMeta(int $column): array|false
    {
        if ($column < 0) {
            throw new ValueError(
                'PDOStatement::getColumnMeta(): Argument #1 ($column) must be greater than or equal to 0',
            );
        }
        $known = $this->result->columns[$column] ?? null;

        return $known === null ? false : ColumnMeta::of($known, $this->result->names[$column]);
    }

    public function closeCursor(): bool
    {
        $this->result?->close();

        return true;
    }

    public function nextRowset(): bool
    {
        $text = 'driver does not support multiple rowsets';

        return $this->fail(PgpoolPdoException::of(self::UNSUPPORTED, $text), 'nextRowset');
    }

    public function debugDumpParams(): ?bool
    {
        $length = strlen($this->queryString);
        echo "SQL: [{$length}] {$this->queryString}\n", $this->parameters->dump();

        return null;
    }

    public function errorCode(): ?string
    {
        return $this->errors->sqlstate();
    }

    /** @return array{string, int|null, string|null} */
    public function errorInfo(): array
    {
        return $this->errors->info();
    }

    public function getAttribute(int $name): mixed
    {
        if ($name === PDO::ATTR_EMULATE_PREPARES) {
            return false;
        }
        $text = "This driver doesn't support getting attributes";

        return $this->fail(PgpoolPdoException::of(self::UNSUPPORTED, $text), 'getAttribute');
    }

    public function setAttribute(int $attribute, mixed $value): bool
    {
        $text = "This driver doesn't support setting attributes";

        return $this->fail(PgpoolPdoException::of(self::UNSUPPORTED, $text), 'setAttribute');
    }

    private function bind(int|string $parameter, mixed &$variable, int $type, string $function): bool
    {
        try {
            $this->parameters->bind($parameter, $variable, $type);
        } catch (PgpoolPdoException $error) {
            return $this->fail($error, $function);
        }

        return true;
    }

    /** The next row in that shape, or $end behind the last. */
    private function next(FetchMode $mode, mixed $end): mixed
    {
        if ($this->result === null || $this->result->names === []) {
            return $end;
        }
        $shape = RowShape::of($mode, $this->result->names);
        $row = $this->read();

        return $row === null ? $end : $shape($row);
    }

    /** @return list<mixed>|null */
    private function read(): ?array
    {
        $row = $this->result->next();
        if ($row !== null && !$this->columns->isEmpty()) {
            $this->columns->fill($this->result->names, $row);
        }

        return $row;
    }

    private function fail(PgpoolPdoException $error, string $function): bool
    {
        return $this->errors->fail($error, $this->link->attributes->errorMode(), "PDOStatement::{$function}");
    }
}
