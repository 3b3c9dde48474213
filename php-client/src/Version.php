<?php

declare(strict_types=1);

namespace RrPgpool;

/**
 * What the server is and can.
 */
final class Version
{
    /**
     * @param string $version of rr-pgpool
     * @param list<string> $features names that one may rely on, such as `cursors`
     * @param array<string, string|null> $databases PostgreSQL's version; null when it was not reached
     */
    public function __construct(
        public readonly string $version,
        public readonly array $features,
        public readonly array $databases,
    ) {
    }

    public function hasFeature(string $name): bool
    {
        return in_array($name, $this->features, true);
    }
}
