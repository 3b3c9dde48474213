<?php

declare(strict_types=1);

namespace RrPgpool\Drivers;

/** What the behaviours need that are the same for both drivers. */
interface Client
{
    /**
     * @param list<mixed> $args for each `?`
     * @return list<list<?string>> values as text, boolean ones as 1 and nothing
     */
    public function rows(string $sql, array $args = []): array;

    public function close(): void;
}
