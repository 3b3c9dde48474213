<?php

declare(strict_types=1);

namespace RrPgpool;

/**
 * PostgreSQL's isolation levels; the values are those of the RPC API.
 */
enum IsolationLevel: string
{
    case ReadUncommitted = 'read_uncommitted';
    case ReadCommitted = 'read_committed';
    case RepeatableRead = 'repeatable_read';
    case Serializable = 'serializable';

    /** The level as SQL has it. */
    public function toSql(): string
    {
        return strtoupper(str_replace('_', ' ', $this->value));
    }
}
