<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

use PDO;
use RrPgpool\Pdo\PgpoolPdoException;
use ValueError;

/**
 * The attributes of a PDO object that can be set, and their effects on names and values.
 *
 * @internal
 */
final class Attributes
{
    /** With the values that PDO has for a new connection. */
    private const DEFAULTS = [
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
        PDO::ATTR_CASE => PDO::CASE_NATURAL,
        PDO::ATTR_ORACLE_NULLS => PDO::NULL_NATURAL,
        PDO::ATTR_STRINGIFY_FETCHES => false,
        PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_BOTH,
        // Accepted for those who set it; statements are always prepared at the server.
        PDO::ATTR_EMULATE_PREPARES => false,
        self::DISABLE_PREPARES => false,
    ];
    /** PDO::PGSQL_ATTR_DISABLE_PREPARES, which is there only with ext-pdo_pgsql. */
    private const DISABLE_PREPARES = 1000;
    /** What every one of these takes; the others are true or false. */
    private const CHOICES = [
        PDO::ATTR_ERRMODE => [
            [PDO::ERRMODE_SILENT, PDO::ERRMODE_WARNING, PDO::ERRMODE_EXCEPTION],
            'Error mode must be one of the PDO::ERRMODE_* constants',
        ],
        PDO::ATTR_CASE => [
            [PDO::CASE_NATURAL, PDO::CASE_UPPER, PDO::CASE_LOWER],
            'Case folding mode must be one of the PDO::CASE_* constants',
        ],
        PDO::ATTR_ORACLE_NULLS => [
            [PDO::NULL_NATURAL, PDO::NULL_EMPTY_STRING, PDO::NULL_TO_STRING],
            'The value of PDO::ATTR_ORACLE_NULLS must be one of the PDO::NULL_* constants',
        ],
    ];

    /** @var array<int, mixed> */
    private array $values = self::DEFAULTS;

    public function get(int $attribute): mixed
    {
        return $this->values[$attribute] ?? null;
    }

    public function errorMode(): int
    {
        return $this->values[PDO::ATTR_ERRMODE];
    }

    /**
     * @return bool false when there is no such attribute, as in PDO
     * @throws PgpoolPdoException for what cannot be had here
     */
    public function set(int $attribute, mixed $value): bool
    {
        if ($attribute === PDO::ATTR_STATEMENT_CLASS) {
            throw PgpoolPdoException::refused('0A000', 'a statement class of your own is not available '
                . 'with rr-pgpool');
        }
        if (!array_key_exists($attribute, self::DEFAULTS)) {
            return false;
        }
        if ($attribute === PDO::ATTR_DEFAULT_FETCH_MODE) {
            FetchMode::plain((int) $value);
            $this->values[$attribute] = (int) $value;
        } elseif (isset(self::CHOICES[$attribute])) {
            [$choices, $otherwise] = self::CHOICES[$attribute];
            if (!is_numeric($value) || !in_array((int) $value, $choices, true)) {
                throw new ValueError($otherwise);
            }
            $this->values[$attribute] = (int) $value;
        } else {
            $this->values[$attribute] = (bool) $value;
        }

        return true;
    }

    /**
     * @param list<array<string, mixed>> $columns of a reply
     * @return list<string> their names, in the case that is asked for
     */
    public function names(array $columns): array
    {
        $names = array_column($columns, 'name');

        return match ($this->values[PDO::ATTR_CASE]) {
            PDO::CASE_UPPER => array_map('strtoupper', $names),
            PDO::CASE_LOWER => array_map('strtolower', $names),
            default => $names,
        };
    }

    /** @param list<array<string, mixed>> $columns of a reply */
    public function converter(array $columns): Values
    {
        return new Values(
            $columns,
            $this->values[PDO::ATTR_STRINGIFY_FETCHES],
            $this->values[PDO::ATTR_ORACLE_NULLS],
        );
    }
}
