<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Goridge;

use RuntimeException;

final class ServiceException extends RuntimeException
{
}
