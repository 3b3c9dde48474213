<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

/**
 * A statement with PDO's placeholders, as PostgreSQL takes it: with $1, $2, … instead.
 *
 * @internal
 */
final class TranslatedSql
{
    /** No placeholder of PDO's; there may be PostgreSQL's own $1. */
    public const NONE = 0;
    public const POSITIONAL = 1;
    public const NAMED = 2;

    /**
     * @param int $style one of the constants
     * @param int $count how many arguments PostgreSQL expects
     * @param array<array-key, int> $names the number of every name, without the colon; a name of
     *     digits is an integer here, as PHP's arrays have it
     */
    public function __construct(
        public readonly string $sql,
        public readonly int $style,
        public readonly int $count,
        public readonly array $names,
    ) {
    }
}
