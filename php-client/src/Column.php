<?php

declare(strict_types=1);

namespace RrPgpool;

/**
 * A column of a result.
 */
final class Column
{
    /**
     * @param string $type PostgreSQL's name, such as `int4` or `_text` (an array of text)
     * @param int $oid the type's number in pg_type
     */
    public function __construct(
        public readonly string $name,
        public readonly string $type,
        public readonly int $oid,
    ) {
    }
}
