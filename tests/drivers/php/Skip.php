<?php

declare(strict_types=1);

namespace RrPgpool\Drivers;

/** The driver has no such feature. */
final class Skip extends \Exception
{
}
