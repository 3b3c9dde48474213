<?php

declare(strict_types=1);

namespace RrPgpool;

/**
 * Which databases answer.
 */
final class Health
{
    /**
     * @param array<string, bool> $databases whether it answers, by name
     * @param array<string, string> $errors why it does not
     */
    public function __construct(public readonly array $databases, public readonly array $errors = [])
    {
    }

    /** Whether all of them answer, or the given one does. */
    public function isHealthy(?string $database = null): bool
    {
        return $database === null
            ? !in_array(false, $this->databases, true)
            : $this->databases[$database] ?? false;
    }
}
